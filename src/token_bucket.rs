//! A token bucket: so many events a second, and a bounded burst. Pure: the time is an argument, and a time before the last
//! one that was seen adds nothing.

use std::time::Duration;

use crate::clock::Mono;

/// A bucket that gains `per_second` tokens a second, up to its capacity. Taking a token needs a whole one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenBucket {
    capacity: f64,
    per_second: f64,
    tokens: f64,
    /// The part of a token that may be missing: sums of floating-point numbers end a rounding error below a whole token.
    tolerance: f64,
    /// The time up to which `tokens` is counted. In the future while the bucket is paused.
    counted_to: Mono,
}

impl TokenBucket {
    /// A bucket that holds `tokens` now. A token counts as whole if no more than `tolerance` of it is missing.
    #[must_use]
    pub const fn new(capacity: f64, per_second: f64, tokens: f64, tolerance: f64, now: Mono) -> Self {
        Self { capacity, per_second, tokens, tolerance, counted_to: now }
    }

    /// Takes one token. `false` if none is there.
    pub fn try_take(&mut self, now: Mono) -> bool {
        let is_there = self.wait_for(1, now).is_zero();
        if is_there {
            self.tokens -= 1.0;
        }
        is_there
    }

    /// Takes `count` tokens, also more than there are.
    pub fn spend(&mut self, count: u32, now: Mono) {
        self.refill(now);
        self.tokens -= f64::from(count);
    }

    /// Gives back `count` tokens.
    pub fn give_back(&mut self, count: u32, now: Mono) {
        self.refill(now);
        self.tokens = (self.tokens + f64::from(count)).min(self.capacity);
    }

    /// How long until `count` tokens are there if nobody takes one meanwhile. Zero if they are there now.
    pub fn wait_for(&mut self, count: u32, now: Mono) -> Duration {
        self.refill(now);
        let missing = f64::from(count) - self.tokens;
        let paused = self.counted_to.saturating_sub(now);
        if missing <= self.tolerance { paused } else { paused + Duration::from_secs_f64(missing / self.per_second) }
    }

    /// When the next whole token is there, as far as this was counted when a token was last asked for.
    #[must_use]
    pub fn next_at(&self) -> Mono {
        self.counted_to + Duration::from_secs_f64((1.0 - self.tokens).max(0.0) / self.per_second)
    }

    /// Gives out nothing for `time` and gains nothing in it. At most one token is kept, so that the end of the pause is no
    /// burst.
    pub fn pause(&mut self, time: Duration, now: Mono) {
        self.refill(now);
        self.tokens = self.tokens.min(1.0);
        self.counted_to = self.counted_to.max(now.saturating_add(time));
    }

    /// Sets another capacity and rate. What was taken stays taken: the tokens change by as much as the capacity.
    pub fn resize(&mut self, capacity: f64, per_second: f64, now: Mono) {
        self.refill(now);
        self.tokens += capacity - self.capacity;
        (self.capacity, self.per_second) = (capacity, per_second);
    }

    /// The tokens there now, and zero while paused.
    pub fn available(&mut self, now: Mono) -> f64 {
        self.refill(now);
        if self.counted_to > now { 0.0 } else { self.tokens.max(0.0) }
    }

    /// Whether the bucket is neither paused nor short of a token.
    #[must_use]
    pub fn is_at_capacity(&self, now: Mono) -> bool {
        let mut refilled = *self;
        refilled.refill(now);
        refilled.counted_to <= now && refilled.tokens >= refilled.capacity
    }

    /// Tokens gained a second.
    #[must_use]
    pub const fn per_second(&self) -> f64 {
        self.per_second
    }

    fn refill(&mut self, now: Mono) {
        if let Some(passed) = now.checked_sub(self.counted_to) {
            self.tokens = (self.tokens + passed.as_secs_f64() * self.per_second).min(self.capacity);
            self.counted_to = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn bucket() -> TokenBucket {
        TokenBucket::new(2.0, 1.0, 2.0, 1e-9, Mono::ZERO)
    }

    #[test]
    fn a_burst_is_bounded_and_the_rate_holds_after_it() {
        let mut bucket = bucket();
        assert!(bucket.try_take(Mono::ZERO) && bucket.try_take(Mono::ZERO) && !bucket.try_take(Mono::ZERO));
        assert_eq!((bucket.wait_for(1, Mono::ZERO), bucket.next_at()), (SECOND, SECOND));
        assert!(bucket.try_take(SECOND) && !bucket.try_take(SECOND));
        assert_eq!(bucket.available(3600 * SECOND), 2.0);
    }

    #[test]
    fn a_pause_gains_nothing_and_ends_without_a_burst() {
        let mut bucket = bucket();
        bucket.pause(10 * SECOND, Mono::ZERO);
        assert_eq!((bucket.available(9 * SECOND), bucket.wait_for(1, 9 * SECOND)), (0.0, SECOND));
        assert!(!bucket.is_at_capacity(9 * SECOND));
        assert!(bucket.try_take(10 * SECOND) && !bucket.try_take(10 * SECOND));
    }

    #[test]
    fn another_size_gives_nothing_back() {
        let mut bucket = bucket();
        while bucket.try_take(Mono::ZERO) {}
        bucket.resize(1.0, 1.0, Mono::ZERO);
        assert_eq!(bucket.wait_for(1, Mono::ZERO), 2 * SECOND);
    }
}
