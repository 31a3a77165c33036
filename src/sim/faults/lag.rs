//! Lag: how long after it happens a change becomes visible.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::saturating_add;
use crate::sim::hash::share;

/// How long each kind of change stays invisible. Zero: it is visible immediately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lag {
    /// A conference record, after its start. Nothing below it is visible before.
    pub conference: Duration,
    /// A conference's end.
    pub conference_end: Duration,
    /// A participant, after the first join.
    pub participant: Duration,
    /// A session resource, in addition to its participant's lag.
    pub session: Duration,
    /// A later session of a participant: meanwhile a person who came back seems to have left.
    pub rejoin: Duration,
    /// The end of a session.
    pub leave: Duration,
    /// The true end of a session: for this long after the end is visible, an end that is too early is shown instead.
    pub true_end: Duration,
    /// With a seed, each resource lags by a share of these that the seed determines; without, by the whole.
    pub spread: Option<u64>,
}

impl Lag {
    /// No lag.
    pub const NONE: Self = Self {
        conference: Duration::ZERO,
        conference_end: Duration::ZERO,
        participant: Duration::ZERO,
        session: Duration::ZERO,
        rejoin: Duration::ZERO,
        leave: Duration::ZERO,
        true_end: Duration::ZERO,
        spread: None,
    };

    /// Returns whether a change of `name` at `at` that lags by up to `lag` is visible at `now`.
    pub(crate) fn shows(&self, name: &str, at: Timestamp, lag: Duration, now: Timestamp) -> bool {
        if lag.is_zero() {
            return at <= now;
        }
        let lag = match self.spread {
            Some(seed) => lag.mul_f64(share(seed, &[name.as_bytes(), &at.as_nanosecond().to_be_bytes()])),
            None => lag,
        };
        saturating_add(at, lag) <= now
    }

    /// Combines two lags: the longer of each kind.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            conference: self.conference.max(other.conference),
            conference_end: self.conference_end.max(other.conference_end),
            participant: self.participant.max(other.participant),
            session: self.session.max(other.session),
            rejoin: self.rejoin.max(other.rejoin),
            leave: self.leave.max(other.leave),
            true_end: self.true_end.max(other.true_end),
            spread: self.spread.or(other.spread),
        }
    }
}
