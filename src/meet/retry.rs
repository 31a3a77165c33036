//! Whether a failed request is tried once more, and when. Pure: attempts, time and jitter are handed in.

use std::time::Duration;

use super::error::Reason;
use crate::backoff::{Backoff, Random};

/// How a request that failed is tried again: truncated exponential back-off with jitter, within bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    backoff: Backoff,
    max_attempts: u32,
    max_total: Duration,
}

impl RetryPolicy {
    /// A policy: no more than `max_attempts` requests in all, and none that would begin later than `max_total` after
    /// the first one.
    #[must_use]
    pub const fn new(backoff: Backoff, max_attempts: u32, max_total: Duration) -> Self {
        Self { backoff, max_attempts, max_total }
    }

    /// How long to wait before the next attempt, or `None` where there is none: the reason is not of the kind that
    /// passes, or a bound is reached. Google's own wish is obeyed where it is the longer; where it is too long to wait
    /// for, the read fails and whoever asked for it comes back later.
    #[must_use]
    pub fn next(
        &self,
        attempt: u32,
        elapsed: Duration,
        reason: Reason,
        hint: Option<Duration>,
        random: &mut Random,
    ) -> Option<Duration> {
        if !is_transient(reason) || attempt >= self.max_attempts {
            return None;
        }
        let delay = self.backoff.delay(attempt, random).max(hint.unwrap_or_default());
        (elapsed.saturating_add(delay) <= self.max_total).then_some(delay)
    }
}

impl Default for RetryPolicy {
    /// Four attempts within 20 s, 1, 2 and 4 s apart, ±50 %.
    #[expect(clippy::expect_used, reason = "the literals are a valid policy, and a test constructs it")]
    fn default() -> Self {
        let backoff = Backoff::new(Duration::from_secs(1), 2.0, Duration::from_secs(32), 0.5).expect("a valid policy");
        Self::new(backoff, 4, Duration::from_secs(20))
    }
}

/// Trouble that waiting may cure.
pub(super) const fn is_transient(reason: Reason) -> bool {
    matches!(reason, Reason::Server | Reason::Network | Reason::Timeout | Reason::Throttled)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn next(attempt: u32, elapsed: Duration, reason: Reason, hint: Option<Duration>) -> Option<Duration> {
        RetryPolicy::default().next(attempt, elapsed, reason, hint, &mut Random::with_seed(3))
    }

    #[test]
    fn only_trouble_that_passes_is_tried_again() {
        for reason in Reason::ALL {
            let passes = matches!(reason.as_str(), "server" | "network" | "timeout" | "throttled");
            assert_eq!(next(1, Duration::ZERO, reason, None).is_some(), passes, "{reason}");
        }
    }

    #[test]
    fn attempts_and_time_are_bounded() {
        assert!(next(3, Duration::ZERO, Reason::Server, None).is_some());
        assert_eq!(next(4, Duration::ZERO, Reason::Server, None), None);
        assert_eq!(next(1, 20 * SECOND, Reason::Server, None), None);
    }

    #[test]
    fn googles_wish_is_obeyed_unless_it_is_too_long_to_wait_for() {
        assert_eq!(next(1, Duration::ZERO, Reason::Throttled, Some(12 * SECOND)), Some(12 * SECOND));
        assert_eq!(next(1, 9 * SECOND, Reason::Throttled, Some(12 * SECOND)), None);
        assert!(next(1, Duration::ZERO, Reason::Throttled, Some(Duration::ZERO)).unwrap() >= SECOND / 2);
    }
}
