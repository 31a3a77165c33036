//! Whether an endpoint is in trouble as a whole: a pure state machine. While it is, one delivery at a time finds out
//! whether it is over, and all others keep their attempts.
//!
//! What only the endpoint can be blamed for opens the breaker after three failures in a row. What one event might cause
//! as well takes five, of three conferences: one conference's stuck delivery is no trouble of the endpoint. Until three
//! conferences have failed, a conference that did not is also asked earlier than the next probe is due.

use std::collections::BTreeSet;
use std::time::Duration;

use super::outcome::{Blame, Reason};
use crate::clock::{Mono, Now, elapsed, saturating_add};
use crate::store::{LaneId, StoredBreaker as Noted};

/// Probes are so far apart: this first, twice as long each time, this at most.
pub const PROBES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(600));

/// So many failures in a row that are the endpoint's own open the breaker.
const OWN_FAILURES: u32 = 3;

/// So many of any kind do, if they are of [`LANES`] lanes.
const FAILURES: u32 = 5;

/// When so many lanes have failed, no other needs to be asked.
pub const LANES: usize = 3;

/// A share of each time between probes, on top or below.
const JITTER: f64 = 0.2;

/// One endpoint's breaker.
#[derive(Debug)]
pub struct Breaker {
    state: Noted,
    /// On the monotonic clock, while it is open.
    probe_at: Mono,
    /// When an attempt failed last, while it is open.
    failed_at: Mono,
    /// Failures in a row, those that are the endpoint's own among them, and the lanes that they were of (the first few).
    streak: u32,
    own: u32,
    lanes: BTreeSet<LaneId>,
    /// The state is not noted in the store yet.
    changed: bool,
    /// It is being noted.
    noting: bool,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            state: Noted::Closed,
            probe_at: Mono::ZERO,
            failed_at: Mono::ZERO,
            streak: 0,
            own: 0,
            lanes: BTreeSet::new(),
            changed: false,
            noting: false,
        }
    }
}

impl Breaker {
    #[must_use]
    pub fn state(&self) -> Noted {
        self.state
    }

    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.state, Noted::Open { .. })
    }

    /// When the next probe is due, while it is open.
    #[must_use]
    pub fn probe_at(&self) -> Option<Mono> {
        self.is_open().then_some(self.probe_at)
    }

    /// The lanes that need not be asked again, if others may be asked before the next probe is due.
    #[must_use]
    pub fn others_than(&self, now: Mono) -> Option<Vec<LaneId>> {
        let early = self.is_open() && self.lanes.len() < LANES && now >= self.failed_at + PROBES.0;
        early.then(|| self.lanes.iter().copied().collect())
    }

    /// What the store is to note, once.
    pub fn take_change(&mut self) -> Option<Noted> {
        self.noting |= self.changed;
        std::mem::take(&mut self.changed).then_some(self.state)
    }

    /// What was to be noted was, or was not.
    pub fn noted(&mut self, well: bool) {
        self.changed |= std::mem::take(&mut self.noting) && !well;
    }

    /// Probes as soon as possible.
    pub fn hurry(&mut self, now: Mono) {
        self.probe_at = self.probe_at.min(now);
    }

    /// Takes over what the store has noted: after a start, or because an operator intervened. True where that is news.
    pub fn adopt(&mut self, noted: Noted, now: Now) -> bool {
        if self.changed || noted == self.state {
            return false;
        }
        *self = Self { state: noted, ..Self::default() };
        if let Noted::Open { probe_at, probes, .. } = noted {
            // However the clock was set meanwhile, it is asked soon.
            self.probe_at = now.mono + elapsed(now.wall, probe_at).min(PROBES.1);
            // Which lanes failed is not noted, but that several did: nobody else is asked early.
            self.lanes.extend((1..).map(|nobody| LaneId(-nobody)).take(LANES.min(probes as usize)));
            self.failed_at = now.mono;
        }
        true
    }

    /// An attempt arrived. True where that is the end of the trouble.
    pub fn succeeded(&mut self) -> bool {
        let was_open = self.is_open();
        (self.streak, self.own) = (0, 0);
        self.lanes.clear();
        if was_open {
            self.go(Noted::Draining);
        }
        was_open
    }

    /// Nothing is due any more.
    pub fn drained(&mut self) {
        if self.state == Noted::Draining {
            self.go(Noted::Closed);
        }
    }

    /// An attempt failed, and the endpoint asked to be left alone for so long. True where that opens the breaker.
    /// `jitter` lies between -1 and 1.
    pub fn failed(&mut self, lane: LaneId, reason: Reason, asked: Option<Duration>, now: Now, jitter: f64) -> bool {
        match reason.blame() {
            Blame::Delivery if !self.is_open() => return false,
            Blame::Delivery => {}
            Blame::Endpoint => self.own += 1,
            Blame::Either => self.own = 0,
        }
        self.streak += 1;
        if self.lanes.len() < LANES {
            self.lanes.insert(lane);
        }
        self.failed_at = now.mono;
        match self.state {
            Noted::Open { since, probes, .. } => {
                // What was under way when it opened, or was asked early, says nothing new.
                if now.mono >= self.probe_at {
                    self.wait(now, since, probes + 1, asked, jitter);
                }
                false
            }
            Noted::Closed | Noted::Draining => {
                let opens = self.own >= OWN_FAILURES || (self.streak >= FAILURES && self.lanes.len() >= LANES);
                if opens {
                    self.wait(now, now.wall, 0, asked, jitter);
                }
                opens
            }
        }
    }

    fn wait(&mut self, now: Now, since: jiff::Timestamp, probes: u32, asked: Option<Duration>, jitter: f64) {
        let plain = PROBES.0.saturating_mul(1 << probes.min(16)).min(PROBES.1);
        let spread = plain.mul_f64(1.0 + JITTER * jitter.clamp(-1.0, 1.0)).clamp(PROBES.0, PROBES.1);
        let wait = spread.max(asked.unwrap_or_default());
        self.probe_at = now.mono + wait;
        self.go(Noted::Open { since, probes, probe_at: saturating_add(now.wall, wait) });
    }

    fn go(&mut self, state: Noted) {
        self.state = state;
        self.changed = true;
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn now(seconds: u64) -> Now {
        Now { mono: Mono::ZERO, wall: Timestamp::UNIX_EPOCH }.after(Duration::from_secs(seconds))
    }

    fn fail(breaker: &mut Breaker, lane: i64, reason: Reason, seconds: u64) -> bool {
        breaker.failed(LaneId(lane), reason, None, now(seconds), 0.0)
    }

    #[test]
    fn what_only_the_endpoint_can_be_blamed_for_opens_it_after_three_in_a_row() {
        for reason in [Reason::Connect, Reason::Dns, Reason::Tls, Reason::Timeout, Reason::Unauthorized] {
            let mut breaker = Breaker::default();
            assert!(!fail(&mut breaker, 1, reason, 0) && !fail(&mut breaker, 1, reason, 1));
            assert!(fail(&mut breaker, 1, reason, 2), "{reason:?}");
            assert_eq!(breaker.probe_at(), Some(now(7).mono));
        }
    }

    #[test]
    fn one_conferences_stuck_delivery_does_not_open_it() {
        let mut breaker = Breaker::default();
        for seconds in 0..100 {
            assert!(!fail(&mut breaker, 1, Reason::ServerError, seconds));
        }
        assert!(!fail(&mut breaker, 2, Reason::ServerError, 100));
        assert!(fail(&mut breaker, 3, Reason::ServerError, 101));
    }

    #[test]
    fn a_success_between_keeps_it_closed() {
        let mut breaker = Breaker::default();
        for lane in 0..100 {
            assert!(!fail(&mut breaker, lane, Reason::Connect, 0));
            assert!(!fail(&mut breaker, lane, Reason::Connect, 0));
            assert!(!breaker.succeeded());
        }
        assert_eq!(breaker.state(), Noted::Closed);
    }

    #[test]
    fn what_is_about_the_delivery_says_nothing_of_the_endpoint() {
        let mut breaker = Breaker::default();
        for lane in 0..100 {
            assert!(!fail(&mut breaker, lane, Reason::Rejected, 0));
        }
        assert_eq!(breaker.take_change(), None);
    }

    #[test]
    fn probes_are_five_seconds_to_ten_minutes_apart_and_the_first_success_drains() {
        let mut breaker = Breaker::default();
        for lane in 0..3 {
            fail(&mut breaker, lane, Reason::Connect, 0);
        }
        let mut gaps = Vec::new();
        for _ in 0..10 {
            let at = breaker.probe_at().unwrap().as_secs();
            fail(&mut breaker, 1, Reason::Connect, at);
            gaps.push(breaker.probe_at().unwrap().as_secs() - at);
        }
        assert_eq!(gaps, [10, 20, 40, 80, 160, 320, 600, 600, 600, 600]);
        assert!(breaker.succeeded());
        assert_eq!((breaker.take_change(), breaker.take_change()), (Some(Noted::Draining), None));
        breaker.drained();
        assert_eq!(breaker.take_change(), Some(Noted::Closed));
    }

    #[test]
    fn a_wish_to_be_left_alone_is_obeyed_by_probes() {
        let mut breaker = Breaker::default();
        for lane in 0..5 {
            let asked = Some(Duration::from_secs(1000));
            breaker.failed(LaneId(lane), Reason::Throttled, asked, now(0), 0.0);
        }
        assert_eq!(breaker.probe_at(), Some(now(1000).mono));
    }

    #[test]
    fn a_conference_that_did_not_fail_is_asked_early_until_three_did() {
        let mut breaker = Breaker::default();
        for seconds in 0..3 {
            fail(&mut breaker, 1, Reason::Timeout, seconds);
        }
        assert_eq!(breaker.others_than(now(6).mono), None, "five seconds apart at least");
        assert_eq!(breaker.others_than(now(7).mono), Some(vec![LaneId(1)]));
        fail(&mut breaker, 2, Reason::Timeout, 7);
        fail(&mut breaker, 3, Reason::Timeout, 12);
        assert_eq!(breaker.others_than(now(17).mono), None);
    }

    #[test]
    fn what_the_store_noted_is_taken_over_and_a_clock_that_jumped_does_not_keep_it_shut() {
        let mut breaker = Breaker::default();
        let noted = Noted::Open { since: now(0).wall, probes: 9, probe_at: now(1_000_000).wall };
        assert!(breaker.adopt(noted, now(10)));
        assert_eq!(breaker.probe_at(), Some(now(610).mono));
        assert!(!breaker.adopt(noted, now(20)), "no news");
        breaker.succeeded();
        assert!(!breaker.adopt(noted, now(30)), "what is not noted yet is newer");
    }
}
