//! Exponential back-off with jitter, and the only use of an unseeded random source outside the simulator.

use std::time::Duration;

/// A seeded random source, for jitter. The daemon uses a random seed and a test a fixed one.
pub type Random = fastrand::Rng;

/// Returns a seed that differs between processes.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the only place that seeds from the system")]
pub fn random_seed() -> u64 {
    fastrand::u64(..)
}

/// Truncated exponential back-off: `min(first × factor^n, cap)`, plus or minus up to the share `jitter` of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    first: Duration,
    factor: f64,
    cap: Duration,
    jitter: f64,
}

/// The parameters make no valid back-off: it would never wait, wait forever, or shrink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a back-off needs 0 < first <= cap, a factor of at least 1 and a jitter between 0 and 1")]
pub struct InvalidBackoff;

impl Backoff {
    /// A back-off. `jitter` is a share of the delay: 0.2 for ±20 %.
    ///
    /// # Errors
    /// [`InvalidBackoff`] unless `0 < first <= cap`, `factor >= 1` and `0 <= jitter < 1`.
    pub fn new(first: Duration, factor: f64, cap: Duration, jitter: f64) -> Result<Self, InvalidBackoff> {
        let valid =
            !first.is_zero() && first <= cap && factor.is_finite() && factor >= 1.0 && (0.0..1.0).contains(&jitter);
        if valid { Ok(Self { first, factor, cap, jitter }) } else { Err(InvalidBackoff) }
    }

    /// How long to wait before attempt number `attempt + 1`, where the first attempt was number 1.
    #[must_use]
    pub fn delay(&self, attempt: u32, random: &mut Random) -> Duration {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let cap = self.cap.as_secs_f64();
        let plain = (self.first.as_secs_f64() * self.factor.powi(exponent)).min(cap);
        Duration::from_secs_f64(spread(plain, self.jitter, random))
    }
}

/// Returns `first`, doubled `times` times and at most `cap`: exponential back-off without jitter.
#[must_use]
pub fn doubled(first: Duration, times: u32, cap: Duration) -> Duration {
    // Sixteen doublings of any `first` in use exceed its cap.
    first.saturating_mul(1 << times.min(16)).min(cap)
}

/// Returns `period`, longer or shorter by up to the share `jitter`, so that many periods do not run in step.
#[must_use]
pub fn jittered(period: Duration, jitter: f64, random: &mut Random) -> Duration {
    Duration::from_secs_f64(spread(period.as_secs_f64(), jitter.clamp(0.0, 1.0), random))
}

fn spread(seconds: f64, jitter: f64, random: &mut Random) -> f64 {
    (seconds * (1.0 + jitter * (2.0 * random.f64() - 1.0))).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_cap_and_stay_within_the_jitter() {
        let policy = Backoff::new(Duration::from_secs(1), 2.0, Duration::from_secs(32), 0.2).unwrap();
        let mut random = Random::with_seed(1);
        for (attempt, plain) in [(1, 1.0), (2, 2.0), (6, 32.0), (40, 32.0), (u32::MAX, 32.0)] {
            let delay = policy.delay(attempt, &mut random).as_secs_f64();
            assert!((plain * 0.8..=plain * 1.2).contains(&delay), "attempt {attempt}: {delay}");
        }
    }

    #[test]
    fn a_wait_doubles_up_to_its_cap() {
        let (first, cap) = (Duration::from_secs(5), Duration::from_secs(600));
        let waits: Vec<u64> = [0, 1, 6, 7, u32::MAX].map(|times| doubled(first, times, cap).as_secs()).into();
        assert_eq!(waits, [5, 10, 320, 600, 600]);
    }

    #[test]
    fn invalid_parameters_are_refused() {
        let second = Duration::from_secs(1);
        assert!(Backoff::new(Duration::ZERO, 2.0, second, 0.0).is_err());
        assert!(Backoff::new(second * 2, 2.0, second, 0.0).is_err());
        assert!(Backoff::new(second, 0.5, second, 0.0).is_err());
        assert!(Backoff::new(second, f64::NAN, second, 0.0).is_err());
        assert!(Backoff::new(second, 2.0, second, 1.0).is_err());
    }
}
