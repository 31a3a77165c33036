//! The pace of one endpoint: how many attempts may be under way at once, how many may begin a second, and when the next
//! may begin. A pure state machine: no clock, no randomness, no IO.
//!
//! An endpoint that takes everything is bounded by its configured concurrency and rate alone. When it refuses because it
//! is busy, the pace learns how much it takes:
//!
//! - A *round* lasts from one refusal to the next. A receiver that limits its rate had nothing left to give at both, so
//!   the deliveries that it accepted in between, divided by the time in between, are its capacity. A round counts only if
//!   deliveries waited throughout; otherwise it measures what there was to send and not what the receiver takes.
//! - After a refusal the rate restarts a little below what was measured, returns to it, stays near it for a while, and then
//!   rises faster and faster until the next refusal. That is the curve of TCP CUBIC (RFC 9438, section 4.2) with a smaller
//!   step down. Each refusal makes the flat part of the curve longer, so that a steady limit is seldom exceeded.
//! - Between a refusal and the next attempt lies a pause: the time that the receiver asked for, or else a fraction of the
//!   time that it needs for one delivery, growing while it goes on refusing.
//! - Not every refusal shows a limit: one of two backends may be down. If the share of refusals stays the same while the rate
//!   is lowered, no limit is learned for a while, and only the pauses are kept.
//!
//! Any other trouble of the endpoint (no connection, no answer in time, a server error) halves the concurrency, down to one
//! attempt at a time, and pauses, longer while nothing succeeds. Longer waits are the breaker's.

mod capacity;
mod learn;
mod round;
mod share;

use std::time::Duration;

use self::capacity::Capacity;
use self::round::Round;
use self::share::RefusedShare;
use crate::clock::Mono;
use crate::token_bucket::TokenBucket;

/// A token bucket holds at most what its rate gives in this time, and at least one token: receivers may not allow bursts.
const BURST: Duration = Duration::from_millis(2);

/// The first pause while nothing was measured yet.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The first pause once a capacity is known, as a share of the time that the receiver needs for one delivery.
const PAUSE_SHARE: f64 = 1.0 / 16.0;

/// The shortest and the longest first pause, in seconds.
const FIRST_PAUSE_BOUNDS: (f64, f64) = (0.002, 5.0);

/// Each further refusal without a success between makes the pause longer by this factor, up to [`LONGEST_PAUSES`].
const PAUSE_GROWTH: f64 = 1.25;

/// The longest pause that the receiver did not ask for, after a refusal and after any other trouble. Longer waits are the
/// breaker's.
const LONGEST_PAUSES: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(5));

/// At rates of many thousand a second, a wait that was rounded to nanoseconds leaves this much of a token missing.
const TOLERANCE: f64 = 1e-6;

/// A share of each pause that the receiver did not ask for, on top or below.
const JITTER: f64 = 0.1;

/// A limit that allows this multiple of what the concurrency allows limits nothing and is forgotten.
const UNLIMITED: f64 = 2.0;

/// A round goes on over an outage if it began so short a time before its end.
const SHORT_OUTAGE: Duration = Duration::from_secs(60);

/// An endpoint that accepted something in this time, or in the time that it needs for so many deliveries, is alive.
const ALIVE: (Duration, f64) = (Duration::from_secs(15), 4.0);

/// The configured bounds of an endpoint's pace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PaceLimits {
    /// The most attempts at once; at least 1.
    pub concurrency: u32,
    /// The most attempts that begin in a second; `None`: any number.
    pub rate: Option<f64>,
    /// The longest pause that a receiver may ask for.
    pub longest_pause: Duration,
}

impl PaceLimits {
    fn most(&self) -> f64 {
        f64::from(self.concurrency.max(1))
    }
}

/// The pace of one endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    limits: PaceLimits,
    /// The most attempts at once.
    window: u32,
    /// The successes since it changed, which raise it again.
    grown: u32,
    capacity: Option<Capacity>,
    /// `None` before the first refusal, and when there was nothing to send since the last one.
    round: Option<Round>,
    /// How much is refused, while a limit is known.
    share: Option<RefusedShare>,
    /// Until then refusals are not taken for those of a limit.
    no_limit_until: Mono,
    bucket: TokenBucket,
    not_before: Mono,
    /// When an attempt began last.
    begun_at: Mono,
    /// Refusals in a row.
    refusals: u32,
    /// When the first of them came.
    refused_since: Mono,
    /// How many refusals in a row came before the last success, and for how long.
    refusals_before: (u32, Duration),
    /// When an attempt was refused last: attempts that began before show nothing new.
    refused_at: Option<Mono>,
    /// Other failures in a row, and when the last one came.
    failures: u32,
    failed_at: Option<Mono>,
    accepted_at: Option<Mono>,
    /// How long an accepted attempt takes, in seconds, smoothed.
    latency: f64,
}

impl Pace {
    /// Returns the pace of an endpoint that nothing is known of: only the configured limits hold.
    #[must_use]
    pub fn new(limits: PaceLimits, now: Mono) -> Self {
        Self {
            limits,
            window: limits.concurrency.max(1),
            grown: 0,
            capacity: None,
            round: None,
            share: None,
            no_limit_until: now,
            bucket: TokenBucket::new(1.0, 1.0, 1.0, TOLERANCE, now),
            not_before: now,
            begun_at: now,
            refusals: 0,
            refused_since: now,
            refusals_before: (0, Duration::ZERO),
            refused_at: None,
            failures: 0,
            failed_at: None,
            accepted_at: None,
            latency: 0.0,
        }
    }

    /// Changes the configured limits. What was learned stays.
    pub fn set_limits(&mut self, limits: PaceLimits) {
        if self.capacity.is_none() && self.window == self.limits.concurrency.max(1) {
            self.window = limits.concurrency.max(1);
        }
        self.window = self.window.min(limits.concurrency.max(1));
        self.limits = limits;
    }

    /// Returns the rate that holds now, in attempts a second; `None` while there is no limit.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        match (self.learned(), self.limits.rate) {
            (Some(learned), Some(most)) => Some(learned.min(most)),
            (learned, most) => learned.or(most),
        }
    }

    /// Returns how many deliveries a second the endpoint takes, as far as its answers show; `None` if it takes all that the
    /// configured limits allow.
    #[must_use]
    pub fn learned(&self) -> Option<f64> {
        self.capacity.map(|capacity| capacity.rate())
    }

    /// Returns how many attempts may be under way at once: at least one.
    #[must_use]
    pub fn window(&self) -> u32 {
        self.window
    }

    fn has_room(&self, in_flight: usize) -> bool {
        u32::try_from(in_flight).is_ok_and(|in_flight| in_flight < self.window)
    }

    /// Begins an attempt, if one may begin now beside the `in_flight` that are under way. Returns whether it may.
    pub fn begin(&mut self, in_flight: usize, now: Mono) -> bool {
        if !self.has_room(in_flight) || now < self.not_before {
            return false;
        }
        if let Some(rate) = self.rate() {
            self.bucket.resize(burst(rate), rate, now);
            if !self.bucket.try_take(now) {
                return false;
            }
        }
        self.begun_at = now;
        true
    }

    /// Returns when the next attempt may begin if none of the `in_flight` ends before; `None`: not before one ends.
    #[must_use]
    pub fn next(&self, in_flight: usize) -> Option<Mono> {
        if !self.has_room(in_flight) {
            return None;
        }
        let filled = self.rate().map_or(Mono::ZERO, |rate| {
            let mut bucket = self.bucket;
            // At a time in the past nothing is gained: this only sets the rate that holds now.
            bucket.resize(burst(rate), rate, Mono::ZERO);
            bucket.next_at()
        });
        Some(filled.max(self.not_before))
    }

    /// Returns whether the last attempt failed, other than by a refusal.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Returns when a delivery was accepted last.
    #[must_use]
    pub fn accepted_at(&self) -> Option<Mono> {
        self.accepted_at
    }

    /// Returns whether the endpoint accepted something lately, as far as what it takes lets expect it.
    #[must_use]
    pub fn is_alive(&self, now: Mono) -> bool {
        let slow = self.learned().map_or(Duration::ZERO, |rate| Duration::from_secs_f64(ALIVE.1 / rate));
        self.accepted_at.is_some_and(|accepted| now.saturating_sub(accepted) <= ALIVE.0.max(slow))
    }

    /// Notes that nothing is left to send, or nothing could be: the current round measures nothing.
    pub fn idle(&mut self) {
        (self.round, self.share) = (None, None);
    }

    /// Notes that an attempt that began at `began` was accepted.
    pub fn accepted(&mut self, began: Mono, now: Mono) {
        let took = now.saturating_sub(began).as_secs_f64();
        self.latency = if self.accepted_at.is_none() { took } else { self.latency.mul_add(0.9, took * 0.1) };
        if self.refusals > 0 {
            self.refusals_before = (std::mem::take(&mut self.refusals), now.saturating_sub(self.refused_since));
        }
        self.failures = 0;
        if let Some(round) = &mut self.round {
            round.accept(began);
        }
        if let Some(share) = &mut self.share {
            share.accept(began);
        }
        let since = self.accepted_at.map_or(Duration::ZERO, |last| now.saturating_sub(last));
        self.accepted_at = Some(now);
        if let Some(capacity) = &mut self.capacity {
            capacity.rise(since);
            if capacity.rate() * self.latency > self.limits.most() * UNLIMITED {
                self.capacity = None;
                self.idle();
            }
        }
        self.grow();
    }

    /// Raises the concurrency after a success: doubles it in each round trip after an outage, and raises it by one in each
    /// after a refusal.
    fn grow(&mut self) {
        self.grown += 1;
        if self.refused_at.is_none_or(|refused| self.failed_at > Some(refused)) || self.grown >= self.window {
            self.window = (self.window + 1).min(self.limits.concurrency.max(1));
            self.grown = 0;
        }
    }

    fn shrink_to(&mut self, window: u32) {
        self.window = window.max(1);
        self.grown = 0;
    }

    /// Notes that the endpoint refused an attempt because it is busy. `asked`: how long it asked to wait. `jitter` lies
    /// between -1 and 1.
    pub fn refused(&mut self, asked: Option<Duration>, began: Mono, now: Mono, jitter: f64) {
        self.refuse(asked, began, now, jitter, true);
    }

    /// Notes that the endpoint refused a delivery again that it had refused before it accepted others. That may be the
    /// delivery's own fault, so it measures nothing.
    pub fn refused_again(&mut self, asked: Option<Duration>, began: Mono, now: Mono, jitter: f64) {
        self.refuse(asked, began, now, jitter, false);
    }

    fn refuse(&mut self, asked: Option<Duration>, began: Mono, now: Mono, jitter: f64, measures: bool) {
        let is_news = self.refused_at.is_none_or(|refused| began >= refused);
        if is_news {
            self.refused_at = Some(now);
            if measures {
                self.end_round(began, now);
            }
        }
        if let Some(asked) = asked {
            let until = now + asked.min(self.limits.longest_pause);
            let pause = until.saturating_sub(self.not_before.max(now));
            if let Some(round) = &mut self.round {
                round.pause(pause);
            }
            self.not_before = self.not_before.max(until);
        }
        if !is_news {
            return;
        }
        if asked.is_none() {
            self.not_before = self.not_before.max(now + self.pause(jitter));
        }
        if self.refusals == 0 {
            self.refused_since = now;
        }
        self.refusals += 1;
        if self.begun_at <= began {
            // No later attempt took what the receiver may have ready after the pause: the next need not wait for a token.
            self.bucket = TokenBucket::new(1.0, self.rate().unwrap_or(1.0), 1.0, TOLERANCE, now);
        }
    }

    /// Notes that an attempt failed because of the endpoint and not because it is busy: no connection, no answer in time, a
    /// server error. `jitter` lies between -1 and 1.
    pub fn failed(&mut self, began: Mono, now: Mono, jitter: f64) {
        if self.failed_at.is_some_and(|failed| began < failed) {
            return;
        }
        self.failed_at = Some(now);
        self.shrink_to(self.window / 2);
        let pause = lengthened(FIRST_PAUSE, self.failures, LONGEST_PAUSES.1, jitter);
        self.not_before = self.not_before.max(now + pause);
        self.failures = self.failures.saturating_add(1);
        // The time without an answer measures nothing.
        self.idle();
    }

    /// Notes that a probe was accepted after a time in which nothing else was sent: attempts may begin again, one at a time at
    /// first.
    pub fn recovered(&mut self, now: Mono) {
        self.shrink_to(1);
        self.not_before = now;
        match &mut self.round {
            Some(round) if now.saturating_sub(round.began()) <= SHORT_OUTAGE => round.accept(now),
            _ => self.idle(),
        }
        (self.refusals, self.failures) = (0, 0);
        self.accepted_at = Some(now);
    }

    fn pause(&self, jitter: f64) -> Duration {
        let first = self.capacity.map_or(FIRST_PAUSE, |capacity| {
            let share = PAUSE_SHARE / capacity.measured;
            Duration::from_secs_f64(share.clamp(FIRST_PAUSE_BOUNDS.0, FIRST_PAUSE_BOUNDS.1))
        });
        lengthened(first, self.refusals, LONGEST_PAUSES.0, jitter)
    }
}

/// Returns how many tokens a bucket holds at most.
fn burst(rate: f64) -> f64 {
    (rate * BURST.as_secs_f64()).max(1.0)
}

/// Returns a pause that is longer after each of `before` failures, up to `longest`.
fn lengthened(first: Duration, before: u32, longest: Duration, jitter: f64) -> Duration {
    let growth = PAUSE_GROWTH.powi(i32::try_from(before.min(100)).unwrap_or(100));
    let pause = (first.as_secs_f64() * growth).min(longest.as_secs_f64());
    Duration::from_secs_f64(pause * JITTER.mul_add(jitter.clamp(-1.0, 1.0), 1.0))
}

#[cfg(test)]
mod tests;
