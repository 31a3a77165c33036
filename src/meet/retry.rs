//! Step: decides whether and when a failed request is retried. The attempts, the time and the random source are arguments.

use std::time::Duration;

use super::error::Reason;
use crate::backoff::{Backoff, Random};

/// When a failed request is retried: truncated exponential back-off with jitter, with a limit on attempts and on time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    backoff: Backoff,
    max_attempts: u32,
    max_total: Duration,
}

impl RetryPolicy {
    /// A policy that sends at most `max_attempts` requests, none later than `max_total` after the first.
    #[must_use]
    pub const fn new(backoff: Backoff, max_attempts: u32, max_total: Duration) -> Self {
        Self { backoff, max_attempts, max_total }
    }

    /// Returns how long to wait before the next attempt. `None` if there is none: waiting does not help against the reason,
    /// or a limit is reached. If `hint`, the wait that Google asks for, is longer than the back-off, it is used; if it
    /// exceeds the limit, the read fails, and the caller schedules it again later.
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

/// Whether a failure may pass without an operator doing anything.
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
    fn only_transient_failures_are_retried() {
        for reason in Reason::ALL {
            let is_transient = matches!(reason.as_str(), "server" | "network" | "timeout" | "throttled");
            assert_eq!(next(1, Duration::ZERO, reason, None).is_some(), is_transient, "{reason}");
        }
    }

    #[test]
    fn attempts_and_time_are_bounded() {
        assert!(next(3, Duration::ZERO, Reason::Server, None).is_some());
        assert_eq!(next(4, Duration::ZERO, Reason::Server, None), None);
        assert_eq!(next(1, 20 * SECOND, Reason::Server, None), None);
    }

    #[test]
    fn the_wait_that_google_asks_for_is_used_unless_it_exceeds_the_limit() {
        assert_eq!(next(1, Duration::ZERO, Reason::Throttled, Some(12 * SECOND)), Some(12 * SECOND));
        assert_eq!(next(1, 9 * SECOND, Reason::Throttled, Some(12 * SECOND)), None);
        assert!(next(1, Duration::ZERO, Reason::Throttled, Some(Duration::ZERO)).unwrap() >= SECOND / 2);
    }
}
