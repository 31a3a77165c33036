//! What can be looked up in the store, and the rows that come back.

use std::time::Duration;

use jiff::Timestamp;

use super::outbox::{DeliveryId, DeliveryState};
use super::rows::LogRow;
use crate::model::{ConferenceName, EndpointName, EventId, EventType, MeetingCode, TargetName};

/// Selects conferences that were live at some time in a half-open interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConferenceQuery {
    /// Only conferences that this target, or a member of this section of subjects, reaches; `None` for all.
    pub target: Option<TargetName>,
    pub from: Timestamp,
    /// Excluded.
    pub until: Timestamp,
    /// The most conferences returned; those that began first are kept.
    pub limit: usize,
}

/// Selects events of the log. All conditions hold together; an empty one holds for every event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// The page cursor: only events after this position.
    pub after: u64,
    /// Only events before this position.
    pub before: Option<u64>,
    pub conference: Option<ConferenceSelector>,
    /// Only events that this target, or a member of this section of subjects, is told of.
    pub target: Option<TargetName>,
    /// Only events of this person: by display name, address, `users/…` or the participant's name.
    pub person: Option<String>,
    /// Any of these.
    pub types: Vec<EventType>,
    /// Happened at this time or later.
    pub from: Option<Timestamp>,
    /// Happened before this time.
    pub until: Option<Timestamp>,
    /// The page size.
    pub limit: usize,
    /// The last ones that match instead of the first.
    pub newest: bool,
}

/// One conference, or all with a meeting code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConferenceSelector {
    Name(ConferenceName),
    Code(MeetingCode),
}

/// One page of the log, oldest first. It may hold fewer events than the limit, even none, although others match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage {
    pub rows: Vec<LogRow>,
    /// The [`EventFilter::after`] of the next page: every event up to here was looked at.
    pub next: u64,
    /// With [`EventFilter::newest`], the [`EventFilter::before`] with which older events are found; `None` if there are none.
    pub before: Option<u64>,
}

/// Selects deliveries. All conditions hold together; an empty one holds for every delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    pub endpoint: Option<EndpointName>,
    pub states: Vec<DeliveryState>,
    pub conference: Option<ConferenceSelector>,
    pub event: Option<EventId>,
    /// Committed at this time or later.
    pub from: Option<Timestamp>,
    /// Committed before this time.
    pub until: Option<Timestamp>,
    /// The page cursor: only deliveries created before this one.
    pub before: Option<DeliveryId>,
    /// The page size, at most [`DeliveryFilter::MOST`].
    pub limit: usize,
}

impl DeliveryFilter {
    /// The largest page, and the most deliveries that one admin transaction changes: other writes go in between.
    pub const MOST: usize = 1000;

    /// Selects the deliveries of an endpoint that will not arrive: settled, expired or dead.
    #[must_use]
    pub fn skipped(endpoint: EndpointName, before: Option<DeliveryId>, limit: usize) -> Self {
        let states = vec![DeliveryState::Dead, DeliveryState::Settled, DeliveryState::Expired];
        Self { endpoint: Some(endpoint), states, before, limit, ..Self::default() }
    }

    /// Selects all deliveries of an endpoint, in pages of the largest size.
    #[must_use]
    pub fn all_of(endpoint: EndpointName) -> Self {
        Self { endpoint: Some(endpoint), limit: Self::MOST, ..Self::default() }
    }
}

/// One page of deliveries, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryPage {
    pub deliveries: Vec<DeliveryRow>,
    /// The [`DeliveryFilter::before`] of the next page; `None` after the last.
    pub next: Option<DeliveryId>,
}

/// One delivery.
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
    /// When its next attempt is due, while it is unfinished.
    pub due_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub attempts: u32,
    /// Why the last attempt failed, or why the delivery is dead or was never sent.
    pub reason: Option<String>,
    /// The id of the batch that it was sent in, or will be sent in again.
    pub batch: Option<String>,
}

/// One delivery with its attempts and its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryDetail {
    pub row: DeliveryRow,
    /// In the order in which they were made. For a delivery in a batch, the batch's attempts.
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
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The reason's name; `None` for a success.
    pub reason: Option<String>,
    /// The start of the answer, with the endpoint's secrets removed. The receiver wrote it: do not trust it.
    pub answer: Option<String>,
}
