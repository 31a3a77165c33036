//! A token bucket for a quota that is counted by the minute, which keeps to it in the first minute too.
//!
//! A bucket of capacity `c` that gains `r` tokens a second gives out at most `c + 60 r` in any minute: what it has saved, and
//! what it gains meanwhile. So a small share of the limit `l` is capacity and the rest is rate: `c + 60 r = l`. Pure: the
//! time is an argument.

use std::time::Duration;

use crate::clock::Mono;
use crate::token_bucket::TokenBucket;

/// The share of the limit that may be spent at once. The rest is what can be sustained.
const BURST: f64 = 0.04;

/// Waits are rounded to nanoseconds, so this much of a token may be missing after one.
const TOLERANCE: f64 = 1e-9;

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub struct QuotaBucket {
    limit: f64,
    tokens: TokenBucket,
}

/// The result of asking for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    Taken,
    /// There is none. There will be one after this time, if nobody else takes it.
    Wait(Duration),
}

impl QuotaBucket {
    /// A full bucket for at most `limit` tokens a minute. Below one, the limit is one token in `1 / limit` minutes.
    #[must_use]
    pub fn new(limit: f64, now: Mono) -> Self {
        let (capacity, per_second) = size(limit);
        Self { limit, tokens: TokenBucket::new(capacity, per_second, capacity, TOLERANCE, now) }
    }

    /// Sets another limit. What was spent stays spent, so that no minute exceeds the larger of the two limits.
    pub fn set_limit(&mut self, limit: f64, now: Mono) {
        let (capacity, per_second) = size(limit);
        self.tokens.resize(capacity, per_second, now);
        self.limit = limit;
    }

    /// Whether nothing of it is spent.
    #[must_use]
    pub fn is_full(&self, now: Mono) -> bool {
        self.tokens.is_at_capacity(now)
    }

    /// Takes one token, or returns how long to wait for it.
    pub fn take(&mut self, now: Mono) -> Take {
        if self.tokens.try_take(now) { Take::Taken } else { Take::Wait(self.tokens.wait_for(1, now)) }
    }

    /// Takes `count` tokens, also more than there are: what is missing has to be gained before the next one is there.
    pub fn spend(&mut self, count: u32, now: Mono) {
        self.tokens.spend(count, now);
    }

    /// Gives back tokens that were taken for requests that were not sent.
    pub fn give_back(&mut self, count: u32, now: Mono) {
        self.tokens.give_back(count, now);
    }

    /// How long until there are `count` tokens, if nobody takes one meanwhile. Zero if they are there now.
    pub fn wait_for(&mut self, count: u32, now: Mono) -> Duration {
        self.tokens.wait_for(count, now)
    }

    /// Gives out nothing for `time` and gains nothing in it.
    pub fn pause(&mut self, time: Duration, now: Mono) {
        self.tokens.pause(time, now);
    }

    /// The tokens there now, and zero while paused.
    pub fn available(&mut self, now: Mono) -> f64 {
        self.tokens.available(now)
    }

    /// The limit this bucket was made for, in tokens a minute.
    #[must_use]
    pub const fn limit(&self) -> f64 {
        self.limit
    }

    /// The tokens gained in a minute: what can be spent in the long run.
    #[must_use]
    pub fn per_minute(&self) -> f64 {
        self.tokens.per_second() * 60.0
    }
}

/// The capacity, and the tokens gained a second, for a limit of so many a minute.
fn size(limit: f64) -> (f64, f64) {
    // A token is whole, so the capacity is at least one; a limit under two leaves no more than one a minute.
    let capacity = (limit * BURST).max(1.0);
    let per_second = if limit < 2.0 { limit.clamp(1e-6, 1.0) } else { limit - capacity } / 60.0;
    (capacity, per_second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The times at which a token was taken, with an attempt after each of `gaps`.
    fn taken_at(bucket: &mut QuotaBucket, gaps: &[u64]) -> Vec<Duration> {
        let mut now = Duration::ZERO;
        let mut times = Vec::new();
        for gap in gaps {
            now += Duration::from_millis(*gap);
            if bucket.take(now) == Take::Taken {
                times.push(now);
            }
        }
        times
    }

    fn fullest_minute(times: &[Duration]) -> usize {
        let within = |from: usize| times[from..].iter().take_while(|time| **time < times[from] + 60 * SECOND).count();
        (0..times.len()).map(within).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn no_minute_exceeds_the_limit(limit in 1.0_f64..1000.0, gaps in prop::collection::vec(0_u64..400, 1..3000)) {
            let mut bucket = QuotaBucket::new(limit, Duration::ZERO);
            prop_assert!(fullest_minute(&taken_at(&mut bucket, &gaps)) as f64 <= limit + 1e-6);
        }

        #[test]
        fn no_minute_exceeds_the_larger_limit_however_often_it_changes(
            limits in prop::collection::vec(1.0_f64..1000.0, 2..6),
            gaps in prop::collection::vec(0_u64..400, 1..1500),
        ) {
            let mut bucket = QuotaBucket::new(limits[0], Duration::ZERO);
            let (mut now, mut times) = (Duration::ZERO, Vec::new());
            for (number, gap) in gaps.iter().enumerate() {
                now += Duration::from_millis(*gap);
                if number % 97 == 0 {
                    bucket.set_limit(limits[number / 97 % limits.len()], now);
                }
                if bucket.take(now) == Take::Taken {
                    times.push(now);
                }
            }
            let largest = limits.iter().copied().fold(0.0, f64::max);
            prop_assert!(fullest_minute(&times) as f64 <= largest + 1e-6);
        }

        #[test]
        fn after_the_announced_wait_there_is_a_token(limit in 1.0_f64..1000.0, attempts in 1_usize..50) {
            let mut bucket = QuotaBucket::new(limit, Duration::ZERO);
            let mut now = Duration::ZERO;
            for _ in 0..attempts {
                if let Take::Wait(wait) = bucket.take(now) {
                    now += wait + Duration::from_nanos(1);
                    prop_assert_eq!(bucket.take(now), Take::Taken);
                }
            }
        }
    }

    #[test]
    fn the_first_minute_keeps_to_the_limit_too() {
        let mut bucket = QuotaBucket::new(480.0, Duration::ZERO);
        let times = taken_at(&mut bucket, &[1; 120_000]);
        let first = times.iter().filter(|time| **time < 60 * SECOND).count();
        assert!((470..=480).contains(&first), "{first}");
        assert!((456..=480).contains(&times.iter().filter(|time| **time >= 60 * SECOND).count()), "95 % are sustained");
    }

    #[test]
    fn another_limit_gives_nothing_back() {
        let mut bucket = QuotaBucket::new(600.0, Duration::ZERO);
        while bucket.take(Duration::ZERO) == Take::Taken {}
        bucket.set_limit(600.0, Duration::ZERO);
        assert!(matches!(bucket.take(Duration::ZERO), Take::Wait(_)));
        bucket.set_limit(60.0, Duration::ZERO);
        assert!(matches!(bucket.take(10 * SECOND), Take::Wait(_)), "what was spent is more than the new limit allows");
        assert!(!bucket.is_full(10 * SECOND) && bucket.is_full(300 * SECOND));
    }

    #[test]
    fn a_pause_gains_nothing_and_ends_without_a_burst() {
        let mut bucket = QuotaBucket::new(600.0, Duration::ZERO);
        bucket.pause(10 * SECOND, Duration::ZERO);
        assert_eq!(bucket.take(9 * SECOND), Take::Wait(SECOND));
        assert_eq!(bucket.available(9 * SECOND), 0.0);
        assert_eq!(bucket.take(10 * SECOND), Take::Taken);
        assert!(matches!(bucket.take(10 * SECOND), Take::Wait(_)));
        bucket.pause(SECOND, 10 * SECOND);
        bucket.pause(5 * SECOND, 10 * SECOND);
        bucket.pause(SECOND, 10 * SECOND);
        assert!(matches!(bucket.take(14 * SECOND), Take::Wait(_)), "the longest pause holds");
    }

    #[test]
    fn time_that_runs_backwards_gains_nothing() {
        let mut bucket = QuotaBucket::new(10.0, 100 * SECOND);
        assert_eq!(bucket.take(100 * SECOND), Take::Taken);
        assert!(matches!(bucket.take(99 * SECOND), Take::Wait(_)));
    }
}
