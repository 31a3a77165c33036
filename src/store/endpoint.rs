//! Webhook endpoints as the store keeps them: their configuration, their breaker, and their counters.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::EndpointName;

/// The part of an endpoint's configuration that the store acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointConfig {
    pub name: EndpointName,
    /// Whether the events of a conference are delivered one after another.
    pub ordered: bool,
    /// How long a leave is held back in case it undoes itself. Zero: not at all.
    pub settle: Duration,
    /// Events that happened longer ago are not sent.
    pub max_age: Option<Duration>,
    /// How events are batched, if the endpoint is ordered; `None` sends each event alone.
    pub batching: Option<Batching>,
}

/// How the events of a conference are gathered into one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// The most events in a batch. A full batch is sent at once.
    pub max_events: u32,
    /// How long the first event waits for more.
    pub max_wait: Duration,
}

/// The state of an endpoint's circuit breaker, as the store keeps it over restarts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StoredBreaker {
    /// Deliveries are sent normally. Opens when the endpoint keeps failing.
    #[default]
    Closed,
    /// The endpoint keeps failing. One delivery at a time probes it; the first that succeeds makes it `Draining`.
    Open {
        since: Timestamp,
        /// How many probes have failed.
        probes: u32,
        /// When the next probe is due.
        probe_at: Timestamp,
    },
    /// The endpoint works again. The backlog is sent at a limited rate; closes when nothing is due.
    Draining,
}

impl StoredBreaker {
    /// Returns the state's name in rows, logs and API answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::Draining => "draining",
        }
    }
}

/// The state of an endpoint, from counters and an index: cheap at any backlog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSummary {
    pub endpoint: EndpointName,
    pub enabled: bool,
    /// When it was last switched on or off; `None` if never.
    pub since: Option<Timestamp>,
    /// Why it is off: `gone`, or `operator`.
    pub reason: Option<String>,
    /// The configuration no longer names it: its deliveries are kept and not sent.
    pub orphaned: bool,
    pub breaker: StoredBreaker,
    /// Deliveries that are not finished.
    pub pending: u64,
    pub dead: u64,
    /// Deliveries never sent because they were too old or an operator skipped them.
    pub expired: u64,
    /// Deliveries ever settled.
    pub settled: u64,
    /// The commit time of the oldest unfinished delivery.
    pub oldest_pending: Option<Timestamp>,
}

impl EndpointSummary {
    /// Returns the state of an endpoint that never had a delivery.
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

/// The outcomes of an endpoint's attempts over some hours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptCount {
    pub endpoint: EndpointName,
    pub arrived: u64,
    pub failed: u64,
}
