//! How a simulated receiver answers: at times with an error, never more than its capacity, or slowly; and outages on top.

use std::time::Duration;

use crate::backoff::Random;
use crate::clock::Mono;
use crate::delivery::http::answer;
use crate::delivery::{Outcome, Reply, TransportFailure};
use crate::token_bucket::TokenBucket;

/// A flaky receiver fails a delivery at most this often, so that it does not expire.
const MOST_FAILURES: u32 = 4;

/// How long an answer takes from a receiver that limits, and from one that is down.
const QUICK: Duration = Duration::from_millis(100);

/// How long an answer takes from a slow receiver: less than the timeout.
const SLOW: Duration = Duration::from_secs(10);

/// The fewest and the most seconds of an outage, and how long after the meetings it may last at most.
const OUTAGE_SECONDS: (u64, u64) = (180, 4 * 3600);
const OUTAGE_ENDS_WITHIN: Duration = Duration::from_secs(2 * 3600);

/// How a receiver answers.
#[derive(Debug, Clone)]
pub(super) struct Behavior {
    kind: Kind,
    pub(super) outage: Option<Outage>,
}

#[derive(Debug, Clone)]
enum Kind {
    /// Answers within seconds; one in five answers is an error.
    Flaky,
    /// Accepts so many deliveries a second, and refuses the others.
    Limited { bucket: TokenBucket, refusal: OverLimit },
    /// Accepts everything after ten seconds.
    Slow,
}

/// How a receiver refuses what exceeds its limit.
#[derive(Debug, Clone, Copy)]
enum OverLimit {
    /// With this status. `hint`: whether 429 and 503 say for how long.
    Status { status: u16, hint: bool },
    /// With a body of failure behind a head of success.
    Body,
    /// With no answer.
    None(TransportFailure),
}

/// A time in which the receiver accepts nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outage {
    pub(super) from: Mono,
    pub(super) until: Mono,
    answer: OutageAnswer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OutageAnswer {
    NotFound,
    Unavailable,
    Reset,
}

/// What came of an attempt.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) reply: Reply,
    /// Whether the receiver took the delivery, whatever it answered.
    pub(super) takes: bool,
}

impl Behavior {
    /// Draws a behavior. `length`: how long meetings are held.
    pub(super) fn draw(length: Duration, random: &mut Random) -> Self {
        let kind = match random.u8(0..8) {
            0..4 => Kind::Flaky,
            4..7 => {
                let rate = [0.2, 0.5, 1.0, 3.0][random.usize(0..4)];
                let burst = [1.0, 1.0, 5.0][random.usize(0..3)];
                let bucket = TokenBucket::new(burst, rate, burst, 1e-9, Mono::ZERO);
                Kind::Limited { bucket, refusal: OverLimit::draw(random) }
            }
            _ => Kind::Slow,
        };
        let outage = (random.u8(0..4) == 0).then(|| Outage::draw(length, random));
        Self { kind, outage }
    }

    /// A name for each kind of trouble that it makes, to be counted.
    pub(super) fn troubles(&self) -> impl Iterator<Item = &'static str> {
        let kind = match self.kind {
            Kind::Flaky => None,
            Kind::Limited { .. } => Some("receiver-limited"),
            Kind::Slow => Some("receiver-slow"),
        };
        kind.into_iter().chain(self.outage.is_some().then_some("receiver-outage"))
    }

    /// Returns how many deliveries a second it accepts; `None` if there is no such limit.
    pub(super) fn capacity(&self) -> Option<f64> {
        if let Kind::Limited { bucket, .. } = &self.kind { Some(bucket.per_second()) } else { None }
    }

    /// Returns how long its answer takes, if that is always the same.
    pub(super) fn latency(&self) -> Option<Duration> {
        match self.kind {
            Kind::Flaky => None,
            Kind::Limited { .. } => Some(QUICK),
            Kind::Slow => Some(SLOW),
        }
    }

    /// Returns whether it is down.
    pub(super) fn is_out(&self, now: Mono) -> bool {
        self.outage.is_some_and(|outage| (outage.from..outage.until).contains(&now))
    }

    /// Returns whether it answers, while it is down, as if it knew no such address.
    pub(super) fn is_not_found(&self, now: Mono) -> bool {
        self.is_out(now) && self.outage.is_some_and(|outage| outage.answer == OutageAnswer::NotFound)
    }

    /// Answers an attempt that ends now. `attempts`: how many were made before. `failing`: whether a flaky receiver fails.
    pub(super) fn answer(&mut self, attempts: u32, failing: bool, now: Mono, random: &mut Random) -> Arrival {
        let refused = |reply| Arrival { reply, takes: false };
        if let Some(outage) = self.outage.filter(|_| self.is_out(now)) {
            return refused(outage.answer.reply());
        }
        match &mut self.kind {
            Kind::Slow => Arrival { reply: answer::reply(200, None), takes: true },
            Kind::Limited { bucket, refusal } => {
                if bucket.try_take(now) {
                    return Arrival { reply: answer::reply(200, None), takes: true };
                }
                // `Retry-After` has whole seconds.
                let wait = Duration::from_secs_f64(bucket.wait_for(1, now).as_secs_f64().ceil().max(1.0));
                refused(refusal.reply(wait))
            }
            Kind::Flaky => {
                let fails = failing && attempts < MOST_FAILURES && random.u8(0..5) == 0;
                let reply = match random.u8(0..3) {
                    _ if !fails => answer::reply(200, None),
                    0 => answer::reply(500, None),
                    1 => answer::reply(503, Some(Duration::from_secs(20))),
                    _ => Outcome::TransportFailed(TransportFailure::Timeout).into(),
                };
                // A receiver may have accepted a message that it seems to have refused.
                Arrival { reply, takes: !fails || random.bool() }
            }
        }
    }
}

impl OverLimit {
    fn draw(random: &mut Random) -> Self {
        match random.u8(0..7) {
            0 => Self::Status { status: 429, hint: random.bool() },
            1 => Self::Status { status: 503, hint: random.bool() },
            2 => Self::Status { status: 500, hint: false },
            3 => Self::Status { status: 502, hint: false },
            4 => Self::Body,
            5 => Self::None(TransportFailure::Timeout),
            _ => Self::None(TransportFailure::Interrupted),
        }
    }

    /// Refuses a delivery that would be taken after `wait`.
    fn reply(self, wait: Duration) -> Reply {
        match self {
            Self::Status { status, hint } => answer::reply(status, hint.then_some(wait)),
            Self::Body => Outcome::BodyFailed.into(),
            Self::None(failure) => Outcome::TransportFailed(failure).into(),
        }
    }
}

impl Outage {
    fn draw(length: Duration, random: &mut Random) -> Self {
        let from = Duration::from_secs(random.u64(0..length.as_secs().max(1)));
        let lasts = Duration::from_secs(random.u64(OUTAGE_SECONDS.0..OUTAGE_SECONDS.1));
        let answer = [OutageAnswer::NotFound, OutageAnswer::Unavailable, OutageAnswer::Reset][random.usize(0..3)];
        Self { from, until: (from + lasts).min(length + OUTAGE_ENDS_WITHIN), answer }
    }
}

impl OutageAnswer {
    fn reply(self) -> Reply {
        match self {
            Self::NotFound => answer::reply(404, None),
            Self::Unavailable => answer::reply(503, None),
            Self::Reset => Outcome::TransportFailed(TransportFailure::Interrupted).into(),
        }
    }
}
