//! The store as the rest of the daemon holds it: cheap to clone, and no method blocks a task.

mod admin;
mod forget;
mod reads;

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use super::clock_check::{ClockCheck, ClockDoubt};
use super::collector::OutboxCollector;
use super::error::{OpenError, StoreError, WriteError};
use super::metrics::StoreMetrics;
use super::outbox::{OutboxReply, OutboxRequest};
use super::progress::StoreProgress;
use super::prune::{PruneRequest, Pruned};
use super::readers::Readers;
use super::request::{Operation, OperationResult, WriteRequest};
use super::rows::Commit;
use super::sqlite::Db;
use super::writer::{Job, QUEUE, Writer, WriterStatus};
use crate::clock::Clock;
use crate::failpoints::AbortFailpoint;
use crate::heartbeat::Heartbeat;
use crate::model::EndpointName;

/// A handle on the open store. When the last one is dropped, queued operations are still written and the file is
/// closed; use [`Store::close`] to wait for it.
#[derive(Debug, Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    readers: Readers,
    writer: WriterStatus,
    progress: watch::Receiver<StoreProgress>,
}

impl Store {
    /// Opens the store as [`Db::open`] does and starts the writer's thread. Blocks for as long as a migration takes.
    ///
    /// # Errors
    /// [`OpenError`], each a sentence with its remedy.
    pub fn open(path: &Path, clock: Clock, metrics: StoreMetrics) -> Result<Self, OpenError> {
        Self::open_aborting_at(path, clock, metrics, AbortFailpoint::default())
    }

    /// Like [`Self::open`], but aborts at the given failpoint.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_aborting_at(
        path: &Path,
        clock: Clock,
        metrics: StoreMetrics,
        abort: AbortFailpoint,
    ) -> Result<Self, OpenError> {
        let db = Db::open_aborting_at(path, clock.now().wall, abort)?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let writer = Writer::new(db, queue, metrics, clock);
        let (status, progress) = (writer.status(), writer.progress());
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run())
            .map_err(|cause| OpenError::Io { path: path.to_owned(), cause })?;
        Ok(Self { jobs, readers: Readers::new(path.to_owned(), status.clone()), writer: status, progress })
    }

    /// Hands an operation to the writer and waits until it is durable. If the future is dropped, the operation may
    /// still be written.
    async fn write<O: Operation>(&self, operation: O, now: Timestamp) -> OperationResult<O> {
        let (request, reply) = WriteRequest::new(operation, now);
        self.jobs.send(Job::Write(request)).await.map_err(|_| StoreError::Closed)?;
        reply.await.map_err(|_| StoreError::Closed)?
    }

    /// Writes a commit: entities, events and deliveries, whole. It is durable once this returns. Not cancel-safe: if
    /// the future is dropped, the commit may still be written.
    ///
    /// # Errors
    /// [`WriteError`]; nothing of it was written then.
    pub async fn commit(&self, commit: Commit, now: Timestamp) -> Result<(), WriteError> {
        self.write(commit, now).await
    }

    /// Runs one round of the dispatcher with the outbox.
    ///
    /// # Errors
    /// [`WriteError::Store`]; nothing was recorded and nothing claimed then.
    pub async fn exchange(&self, request: OutboxRequest, now: Timestamp) -> Result<OutboxReply, WriteError> {
        self.write(request, now).await
    }

    /// Deletes some of what is older than the retention; [`super::retention_loop`] calls it repeatedly.
    ///
    /// # Errors
    /// [`WriteError::Store`]; nothing was deleted then.
    pub async fn prune(&self, request: PruneRequest, now: Timestamp) -> Result<Pruned, WriteError> {
        self.write(request, now).await
    }

    /// Checks whether the wall clock is plausible enough to delete by it. Returns the doubt if there is one.
    ///
    /// # Errors
    /// [`WriteError::Store`].
    pub async fn check_clock(&self, check: ClockCheck) -> Result<Option<ClockDoubt>, WriteError> {
        self.write(check, check.now.wall).await
    }

    /// Returns a receiver of the store's progress. It is published after each transaction, before the callers get their
    /// replies. To miss nothing: read the store, then wait until the log's position is greater than the last one read.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<StoreProgress> {
        self.progress.clone()
    }

    /// Returns the writer's heartbeat. An idle writer does not beat: [`Self::nudge`] it.
    #[must_use]
    pub fn heartbeat(&self) -> Heartbeat {
        self.writer.heartbeat.clone()
    }

    /// Makes an idle writer beat and check that the store is well. Does not wait for it, and does nothing if operations are queued.
    pub fn nudge(&self) {
        if self.jobs.capacity() == self.jobs.max_capacity() {
            let _ = self.jobs.try_send(Job::Beat);
        }
    }

    /// Returns why the store cannot be used, as the reason's name: why the last transaction could not be written, or
    /// `corrupt` once a damaged page was met. `None` if it is well, as far as is known.
    #[must_use]
    pub fn outage(&self) -> Option<&'static str> {
        self.writer.outage()
    }

    /// Writes what is queued, checkpoints and closes the file, within `bound`. Every handle returns
    /// [`StoreError::Closed`] from then on.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if `bound` was too short (nothing acknowledged is lost); otherwise why the checkpoint failed.
    pub async fn close(&self, bound: Duration) -> Result<(), StoreError> {
        self.readers.close();
        let close = async {
            let (reply, closed) = oneshot::channel();
            self.jobs.send(Job::Close(reply)).await.map_err(|_| StoreError::Closed)?;
            closed.await.map_err(|_| StoreError::Closed)?
        };
        tokio::time::timeout(bound, close).await.unwrap_or(Err(StoreError::Busy))
    }

    /// Returns a collector of the outbox's metrics, read from the store at each scrape.
    ///
    /// # Errors
    /// If the descriptions of the metrics are malformed, which they are not.
    pub fn outbox_collector(&self, endpoints: Vec<EndpointName>) -> prometheus::Result<OutboxCollector> {
        OutboxCollector::new(self.readers.clone(), endpoints)
    }
}
