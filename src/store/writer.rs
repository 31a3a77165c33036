//! The writer's thread: takes what waits, writes it as one group, answers each.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::db::{Db, Work, Written};
use super::delivery::OutboxRequest;
use super::error::{CommitError, StoreError};
use super::metrics::StoreMetrics;
use super::repair::Repair;
use super::rows::Commit;
use crate::clock::Clock;

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
    Repair(Repair),
    /// Write what came before, tidy up, and end.
    Close,
}

impl Task {
    fn work(&self) -> Option<Work<'_>> {
        match self {
            Self::Commit(commit) => Some(Work::Commit(commit)),
            Self::Exchange(request) => Some(Work::Exchange(request)),
            Self::Repair(repair) => Some(Work::Repair(repair)),
            Self::Close => None,
        }
    }
}

pub(super) struct Writer {
    pub(super) db: Db,
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) metrics: StoreMetrics,
    pub(super) clock: Clock,
    pub(super) path: PathBuf,
}

impl Writer {
    /// Works until [`Task::Close`], or until every handle is gone.
    pub(super) fn run(mut self) {
        let mut group = Vec::with_capacity(GROUP);
        let mut size_due = Duration::ZERO;
        while self.jobs.blocking_recv_many(&mut group, GROUP) > 0 {
            let close_at = group.iter().position(|job| matches!(job.task, Task::Close));
            let after = group.split_off(close_at.unwrap_or(group.len()));
            self.write(&mut group);
            let now = self.clock.now().mono;
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
        self.metrics.group_took(self.clock.now().mono.saturating_sub(began));
        for (job, result) in group.drain(..).zip(results) {
            if let Err(error) = &result {
                self.metrics.failed(error);
            }
            // Whoever stopped waiting still has it written.
            let _ = job.reply.send(result);
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
