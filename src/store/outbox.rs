//! The outbox: what a dispatcher claims, and what it records.

use std::time::Duration;

use jiff::Timestamp;

use super::endpoint::StoredBreaker;
use crate::model::{ConferenceName, EndpointName, EventId, EventType};

/// The id of a delivery: one event for one endpoint. It survives retries and restarts and is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub i64);

crate::string_enum! {
    /// The state of a delivery.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum DeliveryState {
        /// Unfinished; becomes `Leased` when it is claimed.
        Pending = "pending",
        /// Claimed and being sent. The record of the attempt ends it; when the lease runs out it is `Pending` again.
        Leased = "leased",
        /// It arrived.
        Done = "done",
        /// Given up (a dead letter); only a replay makes it `Pending` again.
        Dead = "dead",
        /// The event was undone before the delivery was due.
        Settled = "settled",
        /// Too old for the endpoint; never sent.
        Expired = "expired",
    }
}

/// The id of a lane: one conference on one endpoint. The deliveries of a lane arrive in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub i64);

/// One round of a dispatcher with the outbox, in one transaction: first the records of earlier claims, then the
/// breakers, then new claims. So the next delivery of a lane can be claimed in the round that finishes the one before.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutboxRequest {
    pub records: Vec<AttemptRecord>,
    /// Endpoints whose breaker changed.
    pub breakers: Vec<(EndpointName, StoredBreaker)>,
    pub claims: Vec<ClaimRequest>,
    /// The deliveries that the caller holds now. Their leases do not run out, however the clock jumps.
    pub in_flight: Vec<DeliveryId>,
}

/// Asks for deliveries of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    pub endpoint: EndpointName,
    pub pick: Pick,
    /// How long the claim holds.
    pub lease: Duration,
    /// Due times further ahead than this come from a clock that jumped, and are moved to this bound.
    pub longest_wait: Duration,
}

/// Which deliveries to claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    /// Due deliveries, the longest overdue first, and those that follow each in its lane. The next of a lane may be
    /// sent only after the one before it is finished. Claims nothing while the breaker is open.
    Due {
        /// The most deliveries claimed. Zero only asks when the next is due.
        limit: usize,
        /// The most deliveries of one lane.
        run: usize,
    },
    /// One delivery, due or not, that probes whether the endpoint works again. Deliveries older than `window` become
    /// dead.
    Probe {
        /// Lanes not to take it from, at most three.
        not_of: Vec<LaneId>,
        window: Duration,
    },
}

/// The record of one claim: the attempt, and what the delivery becomes.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRecord {
    pub delivery: DeliveryId,
    /// [`Claimed::claim`] (a fencing token). A record of an earlier claim changes nothing.
    pub claim: i64,
    /// `None` if nothing was sent.
    pub attempt: Option<AttemptRow>,
    pub result: AttemptResult,
}

/// One attempt as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    pub began_at: Timestamp,
    pub duration: Duration,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The reason's name; `None` for a success.
    pub reason: Option<&'static str>,
    /// The start of the answer, with the endpoint's secrets removed.
    pub answer: Option<Box<str>>,
}

/// What a claimed delivery becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptResult {
    /// It arrived; the next of its lane becomes the head.
    Done,
    /// It is attempted again.
    Retry {
        at: Timestamp,
        /// The end of its head-of-line hold: if others wait behind it, its next attempt is no later than this.
        hold_until: Timestamp,
        /// How many of its attempts count for the retry schedule.
        failures: u32,
        /// How many of its latest attempts in a row were rejected.
        rejections: u32,
    },
    /// It is given up for this reason; the next of its lane becomes the head.
    Dead { reason: &'static str },
    /// The endpoint is gone: it is switched off, and its deliveries stay pending, this one included.
    EndpointOff { reason: &'static str },
    /// Nothing was sent: it is pending as before the claim.
    Release,
}

/// The outbox's answer to an [`OutboxRequest`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutboxReply {
    /// One for each [`ClaimRequest`], in their order.
    pub endpoints: Vec<EndpointReply>,
    /// Deliveries whose record came too late: their claim was over.
    pub stale: Vec<DeliveryId>,
}

/// The answer to one [`ClaimRequest`].
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointReply {
    pub endpoint: EndpointName,
    /// False while the endpoint is switched off: nothing is claimed then.
    pub enabled: bool,
    pub breaker: StoredBreaker,
    /// The claimed deliveries, those of one lane in order.
    pub claimed: Vec<Claimed>,
    /// How many deliveries were too old for the endpoint and expired.
    pub expired: u64,
    /// How many deliveries became dead because their window is over.
    pub buried: u64,
    /// When the first unclaimed delivery is due; in the past if the limit was reached.
    pub next_due: Option<Timestamp>,
}

/// A claimed delivery, with everything that sending it takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    pub delivery: DeliveryId,
    pub lane: LaneId,
    /// The number of this claim, to be returned with the record.
    pub claim: i64,
    pub event: EventId,
    pub event_type: EventType,
    pub conference: Option<ConferenceName>,
    /// When the event happened.
    pub time: Timestamp,
    /// The event as JSON, as it was committed.
    pub body: Box<str>,
    /// The event before this one in the same lane.
    pub previous: Option<EventId>,
    /// How many attempts were recorded before.
    pub attempts: u32,
    /// How many of them count for the retry schedule.
    pub failures: u32,
    /// How many of the latest attempts in a row were rejected.
    pub rejections: u32,
    /// When the event was committed, or the delivery replayed.
    pub owed_at: Timestamp,
    /// When the first attempt began that failed because of the delivery, if one did.
    pub tried_since: Option<Timestamp>,
    /// Whether other deliveries of the lane wait behind it.
    pub others_wait: bool,
    /// The other events of its batch, in order: empty for a batch of one, `None` if the endpoint takes no batches. All
    /// other fields then describe the whole batch, and the record of this delivery holds for every member.
    pub batch: Option<Vec<Batched>>,
}

/// One more event of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batched {
    pub event: EventId,
    pub event_type: EventType,
    /// When the event happened.
    pub time: Timestamp,
    /// The event as JSON, as it was committed.
    pub body: Box<str>,
}
