//! What the outbox hands out and takes back, as plain data.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::{ConferenceName, EndpointName, EventId, EventType};

/// One event owed to one endpoint. Stays the same over retries and restarts, and is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub i64);

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// Owed; becomes `Leased` when it is claimed.
    Pending,
    /// Owed, and somebody is sending it; leaves by what is recorded, or back to `Pending` when the lease ends.
    Leased,
    /// It arrived.
    Done,
    /// Given up; only an operator brings it back.
    Dead,
    /// It undid itself before it was due.
    Settled,
    /// Too old for the endpoint; never sent.
    Expired,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 6] = [Self::Pending, Self::Leased, Self::Done, Self::Dead, Self::Settled, Self::Expired];

    /// The name in rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Leased => "leased",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Settled => "settled",
            Self::Expired => "expired",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// One conference on one endpoint: what has to arrive in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub i64);

/// One round of a dispatcher with the outbox, in one transaction: first what came of the last claims, then how the endpoints
/// fare, then new claims, so that the next of a lane can be claimed in the very round that finishes the one before.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutboxRequest {
    pub records: Vec<AttemptRecord>,
    /// Endpoints whose breaker changed.
    pub breakers: Vec<(EndpointName, StoredBreaker)>,
    pub claims: Vec<ClaimRequest>,
    /// What the asker holds right now: its leases go on, however the clock jumps.
    pub in_flight: Vec<DeliveryId>,
}

/// Asks for deliveries of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    pub endpoint: EndpointName,
    pub pick: Pick,
    /// How long the claim holds.
    pub lease: Duration,
    /// No due time lies further ahead than this: one that does comes from a clock that jumped, and is pulled in.
    pub longest_wait: Duration,
}

/// Which deliveries are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    /// What is due, the longest overdue first, and what follows it in its lane: the next of a lane is to be sent only after
    /// the one before it arrived or was given up. Nothing while the breaker is open.
    Due {
        /// How many at most. Zero only asks when the next is due.
        limit: usize,
        /// How many of one lane at most.
        run: usize,
    },
    /// One, due or not, that finds out whether the endpoint's trouble is over. Meanwhile what is older than `window` is
    /// given up.
    Probe {
        /// Lanes that are not asked for, at most three.
        not_of: Vec<LaneId>,
        window: Duration,
    },
}

/// What came of one claim.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRecord {
    pub delivery: DeliveryId,
    /// [`Claimed::claim`]. A record for an earlier claim changes nothing.
    pub claim: i64,
    /// `None` where nothing was sent.
    pub attempt: Option<AttemptRow>,
    pub result: AttemptResult,
}

/// One attempt as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    pub began_at: Timestamp,
    pub duration: Duration,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The reason's name; `None` for a success.
    pub reason: Option<&'static str>,
    /// The start of the answer, with the endpoint's secrets taken out.
    pub answer: Option<Box<str>>,
}

/// What becomes of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptResult {
    /// It arrived; the next of its lane has its turn.
    Done,
    /// It is tried again.
    Retry {
        at: Timestamp,
        /// When it has to give way, if others wait behind it: its next attempt is no later than this then.
        hold_until: Timestamp,
        /// How many of its attempts count for the schedule.
        failures: u32,
        /// How many of its last attempts were rejected, one after another.
        rejections: u32,
    },
    /// It is given up for this reason; the next of its lane has its turn.
    Dead { reason: &'static str },
    /// The endpoint wants nothing any more: it is switched off, and this delivery stays owed with all others.
    EndpointOff { reason: &'static str },
    /// Nothing was sent: it is owed as before.
    Release,
}

/// The outbox's answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutboxReply {
    /// One for each [`ClaimRequest`], in their order.
    pub endpoints: Vec<EndpointReply>,
    /// Records that came too late: the claim was over.
    pub stale: Vec<DeliveryId>,
}

/// What one endpoint has to do.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointReply {
    pub endpoint: EndpointName,
    /// False while it is switched off: nothing is claimed then.
    pub enabled: bool,
    /// As it was noted last.
    pub breaker: StoredBreaker,
    /// Those of one lane in their order.
    pub claimed: Vec<Claimed>,
    /// How many were found too old for the endpoint.
    pub expired: u64,
    /// How many were given up because their window is over.
    pub buried: u64,
    /// When the first of those not claimed is due; may be past when the limit was reached.
    pub next_due: Option<Timestamp>,
}

/// One delivery, claimed, with all that sending it takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    pub delivery: DeliveryId,
    pub lane: LaneId,
    /// The number of this claim, to be given back with the record.
    pub claim: i64,
    pub event: EventId,
    pub event_type: EventType,
    pub conference: Option<ConferenceName>,
    /// When the event happened.
    pub time: Timestamp,
    /// The event as JSON, frozen.
    pub body: Box<str>,
    /// The event owed to this endpoint before this one, in the same conference.
    pub previous: Option<EventId>,
    /// How many attempts were recorded before.
    pub attempts: u32,
    /// How many of them count for the schedule.
    pub failures: u32,
    /// How many of the last ones were rejected, one after another.
    pub rejections: u32,
    /// When the event was committed, or when an operator asked for it once more.
    pub owed_at: Timestamp,
    /// When the first attempt began, if there was one.
    pub tried_since: Option<Timestamp>,
    /// Whether others wait behind it.
    pub others_wait: bool,
    /// What is sent together with it, in order; empty where it goes as a batch of its own, `None` where it goes alone. All
    /// else that is said here holds for the whole batch, which leaves its endpoint by the record of this delivery.
    pub batch: Option<Vec<Batched>>,
}

/// One more event of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batched {
    pub event: EventId,
    pub event_type: EventType,
    /// When the event happened.
    pub time: Timestamp,
    /// The event as JSON, frozen.
    pub body: Box<str>,
}

/// Whether an endpoint is in trouble as a whole, so that sending to it as usual would only cost attempts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StoredBreaker {
    /// All is well; opens when the endpoint fails again and again.
    #[default]
    Closed,
    /// In trouble: one delivery at a time probes whether it is over, and the first that arrives makes it `Draining`.
    Open {
        since: Timestamp,
        /// How many probes have failed.
        probes: u32,
        /// When the next is due.
        probe_at: Timestamp,
    },
    /// Well again: what has gathered is sent at a set rate, and when nothing is due it is `Closed`.
    Draining,
}

impl StoredBreaker {
    /// The name in rows, logs and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::Draining => "draining",
        }
    }
}

/// How an endpoint fares, from counters and an index: cheap at any backlog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSummary {
    pub endpoint: EndpointName,
    pub enabled: bool,
    /// Since when it is on or off, where that ever changed.
    pub since: Option<Timestamp>,
    /// Why it is off: `gone`, or `operator`.
    pub reason: Option<String>,
    /// The configuration does not name it any more: what it is owed is kept and not sent.
    pub orphaned: bool,
    pub breaker: StoredBreaker,
    /// Owed and not arrived.
    pub pending: u64,
    pub dead: u64,
    /// Never sent, because they were too old or an operator said so.
    pub expired: u64,
    /// How many were ever settled.
    pub settled: u64,
    /// When the oldest that is owed was committed.
    pub oldest_pending: Option<Timestamp>,
}

impl EndpointSummary {
    /// An endpoint that was never owed anything.
    #[must_use]
    pub fn unused(endpoint: EndpointName) -> Self {
        Self {
            endpoint,
            enabled: true,
            since: None,
            reason: None,
            orphaned: false,
            breaker: StoredBreaker::Closed,
            pending: 0,
            dead: 0,
            expired: 0,
            settled: 0,
            oldest_pending: None,
        }
    }
}

/// One event of the log as it was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Where it stands in the log; later events have greater positions.
    pub position: u64,
    pub id: EventId,
    /// The event as JSON, frozen.
    pub body: Box<str>,
    /// The event that corrected or retracted it.
    pub taken_back_by: Option<EventId>,
}
