//! What the dispatcher reports about attempts and endpoints. Nothing in a report is personal data, apart from the answer's
//! excerpt, which goes to the store alone.

use std::time::Duration;

use jiff::Timestamp;

use super::outcome::{Outcome, Reply};
use super::reason::FailureReason;
use crate::model::EndpointName;
use crate::store::{AttemptResult, DeliveryId, StoredBreaker};

/// An attempt that ended.
#[derive(Debug, Clone)]
pub struct FinishedAttempt {
    pub endpoint: EndpointName,
    pub delivery: DeliveryId,
    pub began_at: Timestamp,
    pub took: Duration,
    pub reply: Reply,
}

/// An attempt and what was decided, for the log and the metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptReport {
    pub endpoint: EndpointName,
    pub delivery: DeliveryId,
    /// 1 for the first.
    pub attempt: u32,
    pub took: Duration,
    /// The number of events that were sent in it.
    pub events: u64,
    pub outcome: Outcome,
    pub result: AttemptResult,
    /// The endpoint failed as it did at the attempt before, or refused because it is busy: its pace is told, not each attempt.
    pub goes_on: bool,
    pub pace: PaceReport,
}

/// The pace of an endpoint after an attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PaceReport {
    /// How many deliveries a second the endpoint takes, as far as its answers show; `None` if it takes all that the configured
    /// limits allow.
    pub per_second: Option<f64>,
    /// How many may be sent at once.
    pub at_once: u32,
}

/// A change of an endpoint's state, for the log and the metrics.
#[derive(Debug, Clone, PartialEq)]
pub enum EndpointReport {
    /// The breaker changed its state, after an attempt that failed for this reason.
    Breaker { endpoint: EndpointName, breaker: StoredBreaker, reason: Option<FailureReason> },
    /// The endpoint takes only so many deliveries a second, or again all of them.
    Limited { endpoint: EndpointName, per_second: Option<f64> },
    /// Deliveries that were not sent: `expired` exceeded `max_age`, `given_up` exceeded the window while the breaker was open.
    Skipped { endpoint: EndpointName, expired: u64, given_up: u64 },
}
