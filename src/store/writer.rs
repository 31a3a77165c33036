//! The writer's thread: takes what waits, writes it as one group, answers each.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::db::{Db, Work, Written};
use super::delivery::OutboxRequest;
use super::error::{CommitError, StoreError};
use super::forget::Forget;
use super::metrics::StoreMetrics;
use super::prune::PruneRequest;
use super::repair::Repair;
use super::rows::Commit;
use super::trouble::{Say, Trouble};
use crate::clock::{Clock, Mono, Now};
use crate::heartbeat::Heartbeat;

/// How many jobs may wait. Whoever comes later waits for a place.
pub(super) const WAITING: usize = 1024;

/// How many jobs are written as one group.
const GROUP: usize = 256;

/// The size of the files is looked at so often at most.
const SIZE_EVERY: Duration = Duration::from_secs(1);

/// One piece of work and who waits for it.
pub(super) struct Job {
    pub(super) task: Task,
    pub(super) now: Timestamp,
    pub(super) reply: oneshot::Sender<Result<Written, CommitError>>,
}

pub(super) enum Task {
    Commit(Box<Commit>),
    Exchange(Box<OutboxRequest>),
    Prune(PruneRequest),
    WeighClock(Option<Now>, Now),
    Repair(Repair),
    Forget(Forget),
    /// Nothing: a writer that takes it turns.
    Turn,
    /// Write what came before, tidy up, and end.
    Close,
}

impl Task {
    fn work(&self) -> Option<Work<'_>> {
        match self {
            Self::Commit(commit) => Some(Work::Commit(commit)),
            Self::Exchange(request) => Some(Work::Exchange(request)),
            Self::Prune(request) => Some(Work::Prune(request)),
            Self::WeighClock(looked, now) => Some(Work::WeighClock(*looked, *now)),
            Self::Repair(repair) => Some(Work::Repair(repair)),
            Self::Forget(forget) => Some(Work::Forget(forget)),
            Self::Turn | Self::Close => None,
        }
    }
}

pub(super) struct Writer {
    db: Db,
    jobs: mpsc::Receiver<Job>,
    metrics: StoreMetrics,
    clock: Clock,
    path: PathBuf,
    trouble: Trouble,
    signs: Signs,
}

/// What others see of the writer without asking it.
#[derive(Debug, Clone, Default)]
pub(super) struct Signs {
    /// Beats at each turn.
    pub(super) heartbeat: Heartbeat,
    trouble: Arc<RwLock<Option<&'static str>>>,
}

impl Signs {
    /// Why nothing can be written, if nothing can.
    pub(super) fn trouble(&self) -> Option<&'static str> {
        *self.trouble.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_trouble(&self, reason: Option<&'static str>) {
        *self.trouble.write().unwrap_or_else(PoisonError::into_inner) = reason;
    }
}

impl Writer {
    pub(super) fn new(db: Db, jobs: mpsc::Receiver<Job>, metrics: StoreMetrics, clock: Clock, path: PathBuf) -> Self {
        Self { db, jobs, metrics, clock, path, trouble: Trouble::default(), signs: Signs::default() }
    }

    pub(super) fn signs(&self) -> Signs {
        self.signs.clone()
    }

    /// Works until [`Task::Close`], or until every handle is gone.
    pub(super) fn run(mut self) {
        let mut group = Vec::with_capacity(GROUP);
        let mut size_due = Duration::ZERO;
        while self.jobs.blocking_recv_many(&mut group, GROUP) > 0 {
            self.signs.heartbeat.beat(self.clock.mono());
            group.retain(|job| !matches!(job.task, Task::Turn));
            let close_at = group.iter().position(|job| matches!(job.task, Task::Close));
            let after = group.split_off(close_at.unwrap_or(group.len()));
            self.write(&mut group);
            let now = self.clock.now().mono;
            self.signs.heartbeat.beat(now);
            if now >= size_due {
                self.metrics.size_is(size_of(&self.path));
                size_due = now + SIZE_EVERY;
            }
            if let Some(close) = after.into_iter().next() {
                // Whoever came later finds the channel closed.
                let closed = self.db.checkpoint();
                drop(self);
                let _ = close.reply.send(closed.map(|()| Written::Committed).map_err(CommitError::from));
                return;
            }
        }
    }

    fn write(&mut self, group: &mut Vec<Job>) {
        let work: Vec<_> = group.iter().filter_map(|job| Some((job.task.work()?, job.now))).collect();
        if work.is_empty() {
            return;
        }
        let began = self.clock.now().mono;
        let results = self.db.write_group(&work);
        let ended = self.clock.now().mono;
        self.metrics.group_took(ended.saturating_sub(began));
        self.tell(&results, ended);
        for (job, result) in group.drain(..).zip(results) {
            if let Err(error) = &result {
                self.metrics.failed(error);
            }
            // Whoever stopped waiting still has it written.
            let _ = job.reply.send(result);
        }
    }
}

impl Writer {
    /// Tells the operator how the store fares, where that has changed.
    fn tell(&mut self, results: &[Result<Written, CommitError>], now: Mono) {
        let failed = || {
            results.iter().filter_map(|result| match result {
                Err(CommitError::Store(error)) => Some(error),
                _ => None,
            })
        };
        for result in results {
            if let Err(error @ (CommitError::Duplicate(_) | CommitError::Invariant(_))) = result {
                tracing::error!(reason = error.reason(), %error, "a commit was refused; this is a defect, please report it");
            }
        }
        let first = failed().next();
        self.signs.set_trouble(first.map(StoreError::reason));
        let pieces = u64::try_from(failed().count()).unwrap_or(u64::MAX);
        match (self.trouble.note(first.map_or(Ok(()), Err), pieces, now), first) {
            (Some(Say::Trouble { failed, lasting }), Some(error)) => tracing::error!(
                reason = error.reason(),
                failed,
                seconds = lasting.as_secs(),
                "{error}. Until then nothing new is told; nothing that was acknowledged is lost, and what is missed is read again"
            ),
            (Some(Say::Over { failed, lasted }), _) => {
                tracing::info!(failed, seconds = lasted.as_secs(), "the store can be written again");
            }
            _ => {}
        }
    }
}

/// The size of the store's file and its write-ahead log.
fn size_of(path: &std::path::Path) -> u64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    size(path) + size(log.as_ref())
}

impl From<oneshot::error::RecvError> for StoreError {
    fn from(_: oneshot::error::RecvError) -> Self {
        Self::Closed
    }
}
