//! A token bucket that keeps its promise in the first minute too.
//!
//! A bucket of capacity `c` that refills at `r` a second lets at most `c + 60 r` through in any minute: all it has
//! saved up, and what comes in meanwhile. So of a limit `l` a tenth is capacity and the rest is rate, and
//! `c + 60 r = l`. Pure: the time is an argument, and time that runs backwards is no time.

use std::time::Duration;

use crate::clock::Mono;

/// The share of the limit that may be spent at once.
const BURST: f64 = 0.1;

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    limit: f64,
    capacity: f64,
    per_second: f64,
    tokens: f64,
    /// Up to when `tokens` is reckoned. In the future while paused.
    reckoned: Mono,
}

/// What became of asking for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    Taken,
    /// None is there; one will be after this time, if nobody else takes it.
    Wait(Duration),
}

impl Bucket {
    /// A full bucket for at most `limit` a minute. A limit below one is one token per `1 / limit` minutes.
    #[must_use]
    pub fn new(limit: f64, now: Mono) -> Self {
        // A token is whole, so the capacity is at least one; a limit under two leaves no more than one a minute.
        let capacity = (limit * BURST).max(1.0);
        let per_second = if limit < 2.0 { limit.clamp(1e-6, 1.0) } else { limit - capacity } / 60.0;
        Self { limit, capacity, per_second, tokens: capacity, reckoned: now }
    }

    /// Another limit from now on. What was spent stays spent, so that no minute exceeds the larger of the two limits.
    pub fn set_limit(&mut self, limit: f64, now: Mono) {
        self.refill(now);
        let fresh = Self::new(limit, now);
        self.tokens += fresh.capacity - self.capacity;
        (self.limit, self.capacity, self.per_second) = (fresh.limit, fresh.capacity, fresh.per_second);
    }

    /// Whether nothing is spent of it.
    pub fn is_full(&mut self, now: Mono) -> bool {
        self.refill(now);
        self.reckoned <= now && self.tokens >= self.capacity
    }

    /// Takes one token, or says how long to wait for it.
    pub fn take(&mut self, now: Mono) -> Take {
        match self.wait_for(1, now) {
            Duration::ZERO => {
                self.tokens -= 1.0;
                Take::Taken
            }
            wait => Take::Wait(wait),
        }
    }

    /// How long until there are `count` tokens, if nobody takes one meanwhile. Zero where they are there.
    pub fn wait_for(&mut self, count: u32, now: Mono) -> Duration {
        self.refill(now);
        let missing = f64::from(count) - self.tokens;
        let paused = self.reckoned.saturating_sub(now);
        if missing <= 1e-9 { paused } else { paused + Duration::from_secs_f64(missing / self.per_second) }
    }

    /// Gives nothing for `time`, and saves nothing up in it, so that its end is no rush.
    pub fn pause(&mut self, time: Duration, now: Mono) {
        self.refill(now);
        self.tokens = self.tokens.min(1.0);
        self.reckoned = self.reckoned.max(now.saturating_add(time));
    }

    /// Tokens there now. Zero while paused.
    pub fn available(&mut self, now: Mono) -> f64 {
        self.refill(now);
        if self.reckoned > now { 0.0 } else { self.tokens.max(0.0) }
    }

    /// The limit this bucket was made for, a minute.
    #[must_use]
    pub const fn limit(&self) -> f64 {
        self.limit
    }

    /// What comes in, a minute: what can be spent for ever.
    #[must_use]
    pub fn per_minute(&self) -> f64 {
        self.per_second * 60.0
    }

    fn refill(&mut self, now: Mono) {
        if let Some(passed) = now.checked_sub(self.reckoned) {
            self.tokens = (self.tokens + passed.as_secs_f64() * self.per_second).min(self.capacity);
            self.reckoned = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The times of everything let through, for somebody who asks after each of `gaps`.
    fn passed(bucket: &mut Bucket, gaps: &[u64]) -> Vec<Duration> {
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
            let mut bucket = Bucket::new(limit, Duration::ZERO);
            prop_assert!(fullest_minute(&passed(&mut bucket, &gaps)) as f64 <= limit + 1e-6);
        }

        #[test]
        fn no_minute_exceeds_the_larger_limit_however_often_it_changes(
            limits in prop::collection::vec(1.0_f64..1000.0, 2..6),
            gaps in prop::collection::vec(0_u64..400, 1..1500),
        ) {
            let mut bucket = Bucket::new(limits[0], Duration::ZERO);
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
        fn a_wait_that_was_kept_is_rewarded(limit in 1.0_f64..1000.0, asked in 1_usize..50) {
            let mut bucket = Bucket::new(limit, Duration::ZERO);
            let mut now = Duration::ZERO;
            for _ in 0..asked {
                if let Take::Wait(wait) = bucket.take(now) {
                    now += wait + Duration::from_nanos(1);
                    prop_assert_eq!(bucket.take(now), Take::Taken);
                }
            }
        }
    }

    #[test]
    fn the_first_minute_is_no_exception() {
        let mut bucket = Bucket::new(480.0, Duration::ZERO);
        let times = passed(&mut bucket, &[1; 120_000]);
        let first = times.iter().filter(|time| **time < 60 * SECOND).count();
        assert!((470..=480).contains(&first), "{first}");
        assert!((425..=480).contains(&times.iter().filter(|time| **time >= 60 * SECOND).count()));
    }

    #[test]
    fn a_limit_that_is_set_anew_gives_nothing_back() {
        let mut bucket = Bucket::new(600.0, Duration::ZERO);
        while bucket.take(Duration::ZERO) == Take::Taken {}
        bucket.set_limit(600.0, Duration::ZERO);
        assert!(matches!(bucket.take(Duration::ZERO), Take::Wait(_)));
        bucket.set_limit(60.0, Duration::ZERO);
        assert!(matches!(bucket.take(30 * SECOND), Take::Wait(_)), "what was spent is more than the new limit allows");
        assert!(!bucket.is_full(30 * SECOND) && bucket.is_full(300 * SECOND));
    }

    #[test]
    fn a_pause_gives_nothing_and_ends_without_a_rush() {
        let mut bucket = Bucket::new(600.0, Duration::ZERO);
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
    fn time_that_runs_backwards_is_no_time() {
        let mut bucket = Bucket::new(10.0, 100 * SECOND);
        assert_eq!(bucket.take(100 * SECOND), Take::Taken);
        assert!(matches!(bucket.take(99 * SECOND), Take::Wait(_)));
    }
}
