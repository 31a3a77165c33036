//! Looking into the outbox and mending it by hand: what is shown, and what an operator can ask for.

use std::time::Duration;

use jiff::Timestamp;

use super::db::{Db, Work, Written};
use super::delivery::{DeliveryId, DeliveryState};
use super::error::{CommitError, StoreError};
use super::handle::Store;
use super::inspect;
use super::writer::Task;
use crate::model::{ConferenceName, EndpointName, EventId, EventType};

/// Which deliveries to list. All conditions hold together; an empty one holds for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    pub endpoint: Option<EndpointName>,
    pub states: Vec<DeliveryState>,
    pub conference: Option<ConferenceName>,
    pub event: Option<EventId>,
    /// Committed at this time or later.
    pub from: Option<Timestamp>,
    /// Committed before this time.
    pub until: Option<Timestamp>,
    /// The cursor: only what was owed before this one.
    pub before: Option<DeliveryId>,
    /// At most so many; at most [`DeliveryFilter::MOST`].
    pub limit: usize,
}

impl DeliveryFilter {
    /// No list is longer, and no transaction mends more: others of the daemon write in between.
    pub const MOST: usize = 1000;

    /// What an endpoint was owed and will not get: settled, expired or dead.
    #[must_use]
    pub fn skipped(endpoint: EndpointName, before: Option<DeliveryId>, limit: usize) -> Self {
        let states = vec![DeliveryState::Dead, DeliveryState::Settled, DeliveryState::Expired];
        Self { endpoint: Some(endpoint), states, before, limit, ..Self::default() }
    }
}

/// Some deliveries, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryPage {
    pub deliveries: Vec<DeliveryRow>,
    /// [`DeliveryFilter::before`] for the next page; `None` after the last.
    pub next: Option<DeliveryId>,
}

/// One delivery as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    pub delivery: DeliveryId,
    pub endpoint: EndpointName,
    pub event: EventId,
    pub event_type: EventType,
    pub conference: Option<ConferenceName>,
    pub sequence: Option<u64>,
    pub state: DeliveryState,
    /// When the event was committed.
    pub owed_at: Timestamp,
    /// When its next attempt is due, while it is owed.
    pub due_at: Timestamp,
    /// When it came to its end.
    pub finished_at: Option<Timestamp>,
    pub attempts: u32,
    /// Why the last attempt failed, or why it was given up or never sent.
    pub reason: Option<String>,
    /// The id of the batch that it was sent in, or is to be sent in again.
    pub batch: Option<String>,
}

/// One delivery with all that happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryDetail {
    pub row: DeliveryRow,
    /// In the order in which they were made; those of its batch, where it is in one.
    pub attempts: Vec<StoredAttempt>,
    /// The event as JSON, as it was committed. It names people.
    pub body: Box<str>,
}

/// One attempt as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAttempt {
    /// 1 for the first.
    pub number: u32,
    pub began_at: Timestamp,
    pub duration: Duration,
    pub status: Option<u16>,
    /// The reason's name; `None` for a success.
    pub reason: Option<String>,
    /// The start of the answer, with the endpoint's secrets taken out. A stranger wrote it.
    pub answer: Option<String>,
}

/// How an endpoint's attempts fared in some hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptCount {
    pub endpoint: EndpointName,
    pub arrived: u64,
    pub failed: u64,
}

/// What the configuration says of an endpoint, as far as the store acts on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointConfig {
    pub name: EndpointName,
    /// Whether the events of a conference arrive one after another.
    pub ordered: bool,
    /// How long a leave is held back to see whether it undoes itself. Zero: not at all.
    pub settle: Duration,
    /// What happened longer ago is not sent.
    pub max_age: Option<Duration>,
    /// What is sent together, where it is ordered; `None`: each event alone.
    pub batching: Option<Batching>,
}

/// How the events of a conference are gathered into one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// So many at most, which are sent at once.
    pub max_events: u32,
    /// How long the first waits for others.
    pub max_wait: Duration,
}

/// What to send once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replay {
    /// This one, if it is not owed already.
    One(DeliveryId),
    /// All that this endpoint was owed and that were given up.
    Dead(EndpointName),
    /// All that this endpoint was owed between two times (the second excluded), and that arrived, were given up or
    /// were too old. What was settled is left out: it undid itself.
    Range { endpoint: EndpointName, from: Timestamp, until: Timestamp },
}

/// Where an endpoint that is switched on goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResumeFrom {
    /// Everything it is owed is sent.
    Backlog,
    /// What it is owed until now is not sent any more: it is kept as expired.
    Now,
}

/// One piece of mending, small enough for one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminRequest {
    /// Notes what the configuration says; all other endpoints are orphaned from then on.
    Configure(Vec<EndpointConfig>),
    /// Makes those of these that are over owed again.
    Replay(Vec<DeliveryId>),
    /// Switches an endpoint on.
    Enable(EndpointName),
    /// Switches an endpoint off. What it is owed stays owed.
    Disable(EndpointName),
    /// Ends those of these that nobody is sending as expired.
    Skip(Vec<DeliveryId>),
    /// Deletes those of these whose endpoint is orphaned.
    Delete(Vec<DeliveryId>),
    /// Deletes an orphaned endpoint that has no deliveries any more.
    Remove(EndpointName),
}

impl Replay {
    /// What is meant, as far as a filter can say it.
    fn filter(self) -> DeliveryFilter {
        match self {
            Self::One(delivery) => {
                let before = Some(DeliveryId(delivery.0.saturating_add(1)));
                DeliveryFilter { before, limit: 1, ..DeliveryFilter::default() }
            }
            Self::Dead(endpoint) => DeliveryFilter { states: vec![DeliveryState::Dead], ..all_of(&endpoint) },
            Self::Range { endpoint, from, until } => DeliveryFilter {
                states: vec![DeliveryState::Done, DeliveryState::Dead, DeliveryState::Expired],
                from: Some(from),
                until: Some(until),
                ..all_of(&endpoint)
            },
        }
    }
}

/// What an endpoint is owed from before `now`.
fn backlog(endpoint: &EndpointName, now: Timestamp) -> DeliveryFilter {
    DeliveryFilter { states: vec![DeliveryState::Pending], until: Some(now), ..all_of(endpoint) }
}

fn all_of(endpoint: &EndpointName) -> DeliveryFilter {
    DeliveryFilter { endpoint: Some(endpoint.clone()), limit: DeliveryFilter::MOST, ..DeliveryFilter::default() }
}

fn ids(page: &DeliveryPage) -> Vec<DeliveryId> {
    page.deliveries.iter().map(|row| row.delivery).collect()
}

impl Store {
    /// The deliveries that a filter leaves, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_deliveries(&self, filter: DeliveryFilter) -> Result<DeliveryPage, StoreError> {
        self.readers().read(move |connection| inspect::list(connection, &filter)).await
    }

    /// One delivery with its attempts; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delivery(&self, delivery: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError> {
        self.readers().read(move |connection| inspect::detail(connection, delivery)).await
    }

    /// How every endpoint's attempts have fared since the hour of `since`. Three days are kept.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn attempts_since(&self, since: Timestamp) -> Result<Vec<AttemptCount>, StoreError> {
        self.readers().read(move |connection| inspect::attempts_since(connection, since)).await
    }

    /// Notes what the configuration says of the endpoints, before anything is committed. Those it does not name are
    /// orphaned: what they are owed is kept and not sent.
    ///
    /// # Errors
    /// [`CommitError::Store`].
    pub async fn configure(&self, endpoints: Vec<EndpointConfig>, now: Timestamp) -> Result<(), CommitError> {
        self.repair(AdminRequest::Configure(endpoints), now).await.map(drop)
    }

    /// Sends deliveries once more and says how many. Wake the dispatcher afterwards.
    ///
    /// # Errors
    /// [`CommitError::Store`]; some may have been replayed then.
    pub async fn replay(&self, which: Replay, now: Timestamp) -> Result<u64, CommitError> {
        match which {
            Replay::One(delivery) => self.repair(AdminRequest::Replay(vec![delivery]), now).await,
            Replay::Dead(_) | Replay::Range { .. } => self.repair_all(which.filter(), AdminRequest::Replay, now).await,
        }
    }

    /// Switches an endpoint on and says how many deliveries were skipped for it. Wake the dispatcher afterwards.
    ///
    /// # Errors
    /// [`CommitError::Store`].
    pub async fn enable(&self, endpoint: EndpointName, from: ResumeFrom, now: Timestamp) -> Result<u64, CommitError> {
        let mut skipped = 0;
        if from == ResumeFrom::Now {
            // While it is being skipped, nothing of it is to be claimed.
            self.disable(endpoint.clone(), now).await?;
            skipped = self.repair_all(backlog(&endpoint, now), AdminRequest::Skip, now).await?;
        }
        self.repair(AdminRequest::Enable(endpoint), now).await?;
        Ok(skipped)
    }

    /// Switches an endpoint off: nothing more is claimed, and what it is owed stays owed.
    ///
    /// # Errors
    /// [`CommitError::Store`].
    pub async fn disable(&self, endpoint: EndpointName, now: Timestamp) -> Result<(), CommitError> {
        self.repair(AdminRequest::Disable(endpoint), now).await.map(drop)
    }

    /// Deletes an orphaned endpoint with all that it was ever owed, and says how many deliveries that were. One that is
    /// configured is left alone.
    ///
    /// # Errors
    /// [`CommitError::Store`]; some may have been deleted then.
    pub async fn remove_orphan(&self, endpoint: EndpointName, now: Timestamp) -> Result<u64, CommitError> {
        let deleted = self.repair_all(all_of(&endpoint), AdminRequest::Delete, now).await?;
        self.repair(AdminRequest::Remove(endpoint), now).await?;
        Ok(deleted)
    }

    /// Mends what a filter leaves, page by page.
    async fn repair_all(
        &self,
        mut filter: DeliveryFilter,
        mend: fn(Vec<DeliveryId>) -> AdminRequest,
        now: Timestamp,
    ) -> Result<u64, CommitError> {
        let mut changed = 0;
        loop {
            let page = self.list_deliveries(filter.clone()).await?;
            changed += self.repair(mend(ids(&page)), now).await?;
            match page.next {
                Some(next) => filter.before = Some(next),
                None => return Ok(changed),
            }
        }
    }

    async fn repair(&self, repair: AdminRequest, now: Timestamp) -> Result<u64, CommitError> {
        repaired(&self.write(Task::AdminRequest(repair), now).await?)
    }
}

impl Db {
    /// One piece of mending, in a transaction of its own.
    ///
    /// # Errors
    /// [`CommitError::Store`]; nothing was changed then.
    pub fn repair(&mut self, repair: &AdminRequest, now: Timestamp) -> Result<u64, CommitError> {
        match self.write_group(&[(Work::AdminRequest(repair), now)]).pop() {
            Some(result) => repaired(&result?),
            None => Err(CommitError::Invariant("a repair without a reply")),
        }
    }

    /// The deliveries that a filter leaves, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn list_deliveries(&self, filter: &DeliveryFilter) -> Result<DeliveryPage, StoreError> {
        inspect::list(self.connection(), filter)
    }

    /// One delivery with its attempts; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn delivery(&self, delivery: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError> {
        inspect::detail(self.connection(), delivery)
    }

    /// How every endpoint's attempts have fared since the hour of `since`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn attempts_since(&self, since: Timestamp) -> Result<Vec<AttemptCount>, StoreError> {
        inspect::attempts_since(self.connection(), since)
    }
}

fn repaired(written: &Written) -> Result<u64, CommitError> {
    match written {
        Written::Repaired(changed) => Ok(*changed),
        _ => Err(CommitError::Invariant("a repair without a reply")),
    }
}
