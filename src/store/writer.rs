//! The writer's thread: takes the queued operations, writes them as one group, publishes the progress, and replies.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::error::{StoreError, WriteError};
use super::metrics::StoreMetrics;
use super::outage_log::{OutageLog, OutageNotice};
use super::progress::StoreProgress;
use super::request::WriteRequest;
use super::sqlite::Db;
use crate::clock::{Clock, Mono};
use crate::heartbeat::Heartbeat;

/// How many jobs can be queued. Further callers wait for room (back-pressure).
pub(super) const QUEUE: usize = 1024;

/// How many operations are written as one group.
const GROUP: usize = 256;

/// How often the size of the files is measured, at most.
const SIZE_EVERY: Duration = Duration::from_secs(1);

/// How often a store that nobody writes is written to see whether it can be.
const PROBE_EVERY: Duration = Duration::from_secs(60);

/// A job for the writer.
pub(super) enum Job {
    Write(WriteRequest),
    /// An idle writer that takes it beats, and checks that the store is well.
    Beat,
    /// Writes what was queued before, checkpoints, and ends the thread.
    Close(oneshot::Sender<Result<(), StoreError>>),
}

pub(super) struct Writer {
    db: Db,
    jobs: mpsc::Receiver<Job>,
    metrics: StoreMetrics,
    clock: Clock,
    outage_log: OutageLog,
    /// The outage was found by a check and not by an operation, so a check finds its end.
    found_by_check: bool,
    /// When the store is written next if nobody writes it before.
    probe_due: Mono,
    status: WriterStatus,
    progress: watch::Sender<StoreProgress>,
}

/// What other threads can see of the writer.
#[derive(Debug, Clone, Default)]
pub(super) struct WriterStatus {
    /// Beats for each group.
    pub(super) heartbeat: Heartbeat,
    outage: Arc<RwLock<Option<&'static str>>>,
    /// A page was damaged when it was read or written. Others may be well, but the store is not.
    damaged: Arc<AtomicBool>,
}

impl WriterStatus {
    /// Returns why the store cannot be used, if it cannot: why the last group could not be written, or that it is damaged.
    pub(super) fn outage(&self) -> Option<&'static str> {
        if self.damaged.load(Ordering::Relaxed) {
            return Some(StoreError::Corrupt.reason());
        }
        *self.outage.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a failure to read or write. A store that is damaged stays so until it is opened again.
    pub(super) fn note_error(&self, error: &StoreError) {
        if *error == StoreError::Corrupt {
            self.damaged.store(true, Ordering::Relaxed);
        }
    }

    fn set_outage(&self, reason: Option<&'static str>) {
        *self.outage.write().unwrap_or_else(PoisonError::into_inner) = reason;
    }
}

impl Writer {
    pub(super) fn new(db: Db, jobs: mpsc::Receiver<Job>, metrics: StoreMetrics, clock: Clock) -> Self {
        let progress = watch::Sender::new(StoreProgress { log_position: db.log_position(), admin_changes: 0 });
        let (outage_log, status) = (OutageLog::default(), WriterStatus::default());
        let probe_due = clock.mono() + PROBE_EVERY;
        Self { db, jobs, metrics, clock, outage_log, found_by_check: false, probe_due, status, progress }
    }

    pub(super) fn status(&self) -> WriterStatus {
        self.status.clone()
    }

    pub(super) fn progress(&self) -> watch::Receiver<StoreProgress> {
        self.progress.subscribe()
    }

    /// Runs until [`Job::Close`], or until every handle is dropped.
    pub(super) fn run(mut self) {
        let mut jobs = Vec::with_capacity(GROUP);
        let mut size_due = Duration::ZERO;
        while self.jobs.blocking_recv_many(&mut jobs, GROUP) > 0 {
            self.status.heartbeat.beat(self.clock.mono());
            let (group, close) = sort(&mut jobs);
            if group.is_empty() && close.is_none() {
                self.check();
            } else {
                self.write(group);
            }
            let now = self.clock.now().mono;
            self.status.heartbeat.beat(now);
            if now >= size_due {
                self.metrics.set_size(self.db.size_on_disk());
                size_due = now + SIZE_EVERY;
            }
            if let Some(closed) = close {
                let result = self.db.checkpoint();
                // Later callers find the channel closed.
                drop(self);
                // The caller may have gone; ignore the send error.
                let _ = closed.send(result);
                return;
            }
        }
    }

    /// Checks a store that nobody writes, so that its state is known. Writes now and again, and as long as a check fails.
    fn check(&mut self) {
        let now = self.clock.now();
        let outage = self.status.outage();
        let in_outage = outage.is_some();
        // What a check can tell for certain. A disk that is full for an operation may have room for the check's one row, so
        // there the next operation ends the outage, or the check if there was none for a while.
        let is_certain = self.found_by_check || matches!(outage, Some("gone" | "read_only"));
        if in_outage && !is_certain && now.mono < self.probe_due {
            return;
        }
        let checked = if in_outage || now.mono >= self.probe_due {
            self.probe_due = now.mono + PROBE_EVERY;
            self.db.probe(now.wall)
        } else {
            self.db.check_files()
        };
        self.found_by_check = checked.is_err();
        self.note_outcome(checked.as_ref().err(), 0, now.mono);
    }

    fn write(&mut self, mut group: Vec<WriteRequest>) {
        if group.is_empty() {
            return;
        }
        let began = self.clock.now().mono;
        self.db.write_group(&mut group);
        let ended = self.clock.now().mono;
        self.metrics.observe_group(ended.saturating_sub(began));
        self.log_failures(&group, ended);
        self.publish(&group);
        for request in group {
            if let Some(error) = request.error() {
                self.metrics.count_failure(error);
            }
            request.deliver();
        }
    }

    /// Publishes the progress before the callers get their replies: a caller that has its reply sees at least its own
    /// position.
    fn publish(&self, group: &[WriteRequest]) {
        let is_change = |request: &&WriteRequest| {
            matches!(request, WriteRequest::Admin(_) | WriteRequest::Forget(_)) && request.error().is_none()
        };
        let changes = u64::try_from(group.iter().filter(is_change).count()).unwrap_or(u64::MAX);
        let log_position = self.db.log_position();
        self.progress.send_if_modified(|progress| {
            let before = *progress;
            progress.log_position = log_position;
            progress.admin_changes = progress.admin_changes.saturating_add(changes);
            *progress != before
        });
    }

    /// Logs refused operations, and the beginning, the lasting and the end of an outage.
    fn log_failures(&mut self, group: &[WriteRequest], now: Mono) {
        let failed = || {
            group.iter().filter_map(|request| match request.error() {
                Some(WriteError::Store(error)) => Some(error),
                _ => None,
            })
        };
        for error in group.iter().filter_map(WriteRequest::error) {
            if let WriteError::Duplicate(_) | WriteError::Invariant(_) = error {
                tracing::error!(reason = error.reason(), %error, "an operation was refused because it contradicts the store; this is a defect, please report it");
            }
        }
        let count = u64::try_from(failed().count()).unwrap_or(u64::MAX);
        self.found_by_check = false;
        self.probe_due = now + PROBE_EVERY;
        self.note_outcome(failed().next(), count, now);
    }

    /// Shows and logs that the store cannot be used, or can be again. `count`: how many operations failed.
    fn note_outcome(&mut self, first: Option<&StoreError>, count: u64, now: Mono) {
        first.inspect(|error| self.status.note_error(error));
        self.status.set_outage(first.map(StoreError::reason));
        match (self.outage_log.note(first.map_or(Ok(()), Err), count, now), first) {
            (Some(OutageNotice::Lasts { failed, duration }), Some(error)) => tracing::error!(
                reason = error.reason(),
                failed,
                seconds = duration.as_secs(),
                "{error}. Until then no event is emitted; what was acknowledged is safe, and missed changes are read again"
            ),
            (Some(OutageNotice::Over { failed, duration }), _) => {
                tracing::info!(failed, seconds = duration.as_secs(), "the store can be written again");
            }
            _ => {}
        }
    }
}

/// Splits jobs into the requests before the first [`Job::Close`], and where to report that the store is closed.
fn sort(jobs: &mut Vec<Job>) -> (Vec<WriteRequest>, Option<oneshot::Sender<Result<(), StoreError>>>) {
    let mut group = Vec::with_capacity(jobs.len());
    for job in jobs.drain(..) {
        match job {
            Job::Write(request) => group.push(request),
            Job::Beat => {}
            Job::Close(closed) => return (group, Some(closed)),
        }
    }
    (group, None)
}
