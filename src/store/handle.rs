//! The store as the rest of the daemon holds it: cheap to clone, nothing blocks.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::collector::OutboxCollector;
use super::db::{Db, Written};
use super::delivery::{EndpointSummary, LogRow, OutboxReply, OutboxRequest};
use super::error::{CommitError, StoreError};
use super::metrics::StoreMetrics;
use super::open::OpenError;
use super::prune::{PruneRequest, Pruned};
use super::readers::Readers;
use super::retention::Doubt;
use super::rows::{Commit, StoredConference, TargetRow};
use super::writer::{Job, Signs, Task, WAITING, Writer};
use super::{endpoints, facts, log};
use crate::clock::{Clock, Now};
use crate::failpoints::AbortFailpoint;
use crate::heartbeat::Pulse;
use crate::model::{ConferenceName, EndpointName};

/// A handle on the open store. When the last one is dropped, what waits is still written and the file closed; use
/// [`Store::close`] to know when.
#[derive(Debug, Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    readers: Readers,
    signs: Signs,
}

impl Store {
    /// Opens the store as [`Db::open`] does and starts its writer's thread. Blocks for as long as a migration takes.
    ///
    /// # Errors
    /// [`OpenError`], each a sentence with its remedy.
    pub fn open(path: &Path, clock: Clock, metrics: StoreMetrics) -> Result<Self, OpenError> {
        Self::open_aborting_at(path, clock, metrics, AbortFailpoint::default())
    }

    /// As [`Self::open`], dying where a test wants it to.
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
        let (sender, jobs) = mpsc::channel(WAITING);
        let writer = Writer::new(db, jobs, metrics, clock, path.to_owned());
        let signs = writer.signs();
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        Ok(Self { jobs: sender, readers: Readers::new(path.to_owned()), signs })
    }

    /// Writes a commit: facts, events and deliveries, whole. It is on the disk once this returns. Cancelling the future
    /// leaves open whether it was written.
    ///
    /// # Errors
    /// [`CommitError`]; nothing of it was written then.
    pub async fn commit(&self, commit: Commit, now: Timestamp) -> Result<(), CommitError> {
        self.write(Task::Commit(Box::new(commit)), now).await.map(drop)
    }

    /// One round with the outbox.
    ///
    /// # Errors
    /// [`CommitError::Store`]; nothing was recorded and nothing claimed then.
    pub async fn exchange(&self, request: OutboxRequest, now: Timestamp) -> Result<OutboxReply, CommitError> {
        match self.write(Task::Exchange(Box::new(request)), now).await? {
            Written::Exchanged(reply) => Ok(reply),
            _ => Err(CommitError::Invariant("an exchange without a reply")),
        }
    }

    /// Beats whenever the writer takes up work or has done it. One without work does not turn: [`Self::nudge`] it.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        self.signs.pulse.clone()
    }

    /// Makes an idle writer turn. Does not wait for it; where work waits already there is no need.
    pub fn nudge(&self) {
        if self.jobs.capacity() == self.jobs.max_capacity() {
            let (reply, _) = oneshot::channel();
            let _ = self.jobs.try_send(Job { task: Task::Turn, now: Timestamp::UNIX_EPOCH, reply });
        }
    }

    /// Why the last transaction could not be written, as the reason's name; nothing if it could.
    #[must_use]
    pub fn trouble(&self) -> Option<&'static str> {
        self.signs.trouble()
    }

    pub(super) fn readers(&self) -> &Readers {
        &self.readers
    }

    /// Deletes a little of what is old; [`super::keeper`] does it again and again.
    ///
    /// # Errors
    /// [`CommitError::Store`]; nothing was deleted then.
    pub async fn prune(&self, request: PruneRequest, now: Timestamp) -> Result<Pruned, CommitError> {
        match self.write(Task::Prune(request), now).await? {
            Written::Pruned(pruned) => Ok(pruned),
            _ => Err(CommitError::Invariant("a step of pruning without a result")),
        }
    }

    /// Looks whether the clock may be believed, as [`Db::weigh_clock`] does.
    ///
    /// # Errors
    /// [`CommitError::Store`].
    pub async fn weigh_clock(&self, looked: Option<Now>, now: Now) -> Result<Option<Doubt>, CommitError> {
        match self.write(Task::WeighClock(looked, now), now.wall).await? {
            Written::Weighed(doubt) => Ok(doubt),
            _ => Err(CommitError::Invariant("a clock that was not weighed")),
        }
    }

    pub(super) async fn write(&self, task: Task, now: Timestamp) -> Result<Written, CommitError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job { task, now, reply }).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(StoreError::from)?
    }

    /// Writes what waits, tidies the file up and closes it, within `bound`. Every handle answers
    /// [`StoreError::Closed`] from then on.
    ///
    /// # Errors
    /// [`StoreError::Busy`] where `bound` was too short (nothing acknowledged is lost); otherwise what tidying up said.
    pub async fn close(&self, bound: Duration) -> Result<(), StoreError> {
        self.readers.close();
        match tokio::time::timeout(bound, self.write(Task::Close, Timestamp::UNIX_EPOCH)).await {
            Err(_) => Err(StoreError::Busy),
            Ok(Err(CommitError::Store(error))) => Err(error),
            Ok(Err(CommitError::Duplicate(_) | CommitError::Invariant(_)) | Ok(_)) => Ok(()),
        }
    }

    /// Every conference that is not closed, as it was committed last, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn load_unfinished(&self) -> Result<Vec<StoredConference>, StoreError> {
        self.readers.read(facts::unfinished).await
    }

    /// What every target remembers, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn targets(&self) -> Result<Vec<TargetRow>, StoreError> {
        self.readers.read(facts::targets).await
    }

    /// Whether nothing more is to be told of a conference, though Google may still show it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_finished(&self, conference: ConferenceName) -> Result<bool, StoreError> {
        self.readers.read(move |connection| facts::is_finished(connection, &conference)).await
    }

    /// All conferences of which nothing more is to be told.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn finished(&self) -> Result<BTreeSet<ConferenceName>, StoreError> {
        self.readers.read(facts::finished).await
    }

    /// The log after a position (0: from its beginning), at most `limit` events.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn log_after(&self, position: u64, limit: usize) -> Result<Vec<LogRow>, StoreError> {
        self.readers.read(move |connection| log::after(connection, position, limit)).await
    }

    /// How every endpoint fares that was ever owed anything. Cheap at any backlog.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn outbox_summary(&self) -> Result<Vec<EndpointSummary>, StoreError> {
        self.readers.read(endpoints::summary).await
    }

    /// What an endpoint is owed, as metrics that are read from the store at each scrape.
    ///
    /// # Errors
    /// Where the descriptions of the metrics are malformed, which they are not.
    pub fn outbox_collector(&self, endpoints: Vec<EndpointName>) -> prometheus::Result<OutboxCollector> {
        OutboxCollector::new(self.readers.clone(), endpoints)
    }
}
