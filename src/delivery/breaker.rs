//! The circuit breaker of an endpoint: a pure state machine. While it is open, one delivery at a time probes the endpoint, and
//! all others wait without using up their attempts. After the first success the backlog drains at a limited rate.
//!
//! The breaker is the lower end of the endpoint's pace ([`super::pace`]): it opens only if nothing was accepted for a while,
//! longer than an endpoint that takes little needs between two deliveries. Then three failures in a row that are the
//! endpoint's own fault open it. If the fault is unclear, it takes five, of three lanes, or two minutes: one conference's
//! failing delivery does not prove that the endpoint is down. Until three lanes have failed, a lane that has not failed is
//! also probed before the next probe is due. An endpoint that asks for a long wait opens it at once.

use std::collections::BTreeSet;
use std::time::Duration;

use super::outcome::{AtFault, Outcome};
use crate::backoff;
use crate::clock::{Mono, Now, elapsed, saturating_add};
use crate::store::{LaneId, StoredBreaker};

/// The wait before the first probe, which doubles with each probe, and its limit.
const PROBE_WAITS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(600));

/// How many failures in a row that are the endpoint's own fault open the breaker.
const OWN_FAILURES: u32 = 3;

/// How many failures in a row open it if the fault is unclear and [`LANES`] lanes have failed.
const FAILURES: u32 = 5;

/// How many lanes have to fail before the fault counts as the endpoint's.
const LANES: usize = 3;

/// How long nothing must have been accepted before it opens: the second value if the endpoint says that it is busy, and is
/// thus alive, and if fewer than [`LANES`] lanes have failed.
const QUIET: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(120));

/// The same at least, in the time that the endpoint needs for one delivery.
const QUIET_DELIVERIES: f64 = 4.0;

/// An endpoint that asks for a longer wait is probed after it.
const LONG_WAIT: Duration = Duration::from_secs(180);

/// The share by which the wait between probes varies, up or down.
const JITTER: f64 = 0.2;

/// A failed attempt, as far as the breaker depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Failed<'a> {
    pub lane: LaneId,
    pub outcome: &'a Outcome,
    /// How long the receiver asked to wait.
    pub asked: Option<Duration>,
    /// How many deliveries a second the endpoint takes, if that is known to be few.
    pub capacity: Option<f64>,
    /// Between -1 and 1.
    pub jitter: f64,
}

/// One endpoint's breaker.
#[derive(Debug)]
pub struct Breaker {
    state: StoredBreaker,
    /// When the next probe is due, while it is open.
    probe_at: Mono,
    /// When the last attempt failed, while it is open.
    failed_at: Mono,
    /// The failures in a row, how many of them in a row are the endpoint's own fault, and their lanes (the first few).
    streak: u32,
    own: u32,
    lanes: BTreeSet<LaneId>,
    /// When the first of the failures in a row came.
    failing_since: Option<Now>,
    accepted_at: Option<Mono>,
    /// The state has changed since it was last written to the store.
    changed: bool,
    /// A write of the state is in flight.
    saving: bool,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            state: StoredBreaker::Closed,
            probe_at: Mono::ZERO,
            failed_at: Mono::ZERO,
            streak: 0,
            own: 0,
            lanes: BTreeSet::new(),
            failing_since: None,
            accepted_at: None,
            changed: false,
            saving: false,
        }
    }
}

impl Breaker {
    #[must_use]
    pub fn state(&self) -> StoredBreaker {
        self.state
    }

    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.state, StoredBreaker::Open { .. })
    }

    /// Returns when the next probe is due, while it is open.
    #[must_use]
    pub fn probe_at(&self) -> Option<Mono> {
        self.is_open().then_some(self.probe_at)
    }

    /// Returns the failed lanes, if any other lane may be probed before the next probe is due.
    #[must_use]
    pub fn early_probe_not_of(&self, now: Mono) -> Option<Vec<LaneId>> {
        let early = self.is_open() && self.lanes.len() < LANES && now >= self.failed_at + PROBE_WAITS.0;
        early.then(|| self.lanes.iter().copied().collect())
    }

    /// Returns the state if it has to be written to the store. Report the end of the write to [`Self::saved`].
    pub fn take_change(&mut self) -> Option<StoredBreaker> {
        self.saving |= self.changed;
        std::mem::take(&mut self.changed).then_some(self.state)
    }

    /// Ends the write of the state. If it failed, the state has to be written again.
    pub fn saved(&mut self, succeeded: bool) {
        self.changed |= std::mem::take(&mut self.saving) && !succeeded;
    }

    /// Makes the next probe due now.
    pub fn probe_now(&mut self, now: Mono) {
        self.probe_at = self.probe_at.min(now);
    }

    /// Takes over the stored state: after a start, or because an operator changed it. Returns whether that changes the state.
    pub fn adopt(&mut self, stored: StoredBreaker, now: Now) -> bool {
        if self.changed || stored == self.state {
            return false;
        }
        *self = Self { state: stored, ..Self::default() };
        if let StoredBreaker::Open { probe_at, probes, .. } = stored {
            // A clock that jumped must not delay the probe.
            self.probe_at = now.mono + elapsed(now.wall, probe_at).min(PROBE_WAITS.1);
            // The store keeps the number of probes, not the failed lanes; placeholders make the count right.
            self.fill_lanes(probes as usize);
            self.failed_at = now.mono;
        }
        true
    }

    /// Adds placeholders up to `count` failed lanes: from [`LANES`] on, no lane is probed early.
    fn fill_lanes(&mut self, count: usize) {
        self.lanes.extend((1..).map(|placeholder| LaneId(-placeholder)).take(LANES.min(count)));
    }

    /// Notes a success. Returns whether it closes an open breaker; the backlog then drains.
    pub fn succeeded(&mut self, now: Mono) -> bool {
        let was_open = self.is_open();
        (self.streak, self.own) = (0, 0);
        (self.failing_since, self.accepted_at) = (None, Some(now));
        self.lanes.clear();
        if was_open {
            self.set(StoredBreaker::Draining);
        }
        was_open
    }

    /// Notes that the backlog is empty.
    pub fn drained(&mut self) {
        if self.state == StoredBreaker::Draining {
            self.set(StoredBreaker::Closed);
        }
    }

    /// Notes a failed attempt. Returns whether that opens the breaker.
    pub fn failed(&mut self, failed: &Failed<'_>, now: Now) -> bool {
        let Failed { lane, outcome, asked, jitter, .. } = *failed;
        match outcome.at_fault() {
            None => return false,
            Some(AtFault::Delivery) if !self.is_open() => return false,
            Some(AtFault::Delivery) => {}
            Some(AtFault::Endpoint) => self.own += 1,
            Some(AtFault::Unclear) => self.own = 0,
        }
        self.streak += 1;
        if self.lanes.len() < LANES {
            self.lanes.insert(lane);
        }
        self.failed_at = now.mono;
        let since = *self.failing_since.get_or_insert(now);
        match self.state {
            StoredBreaker::Open { since, probes, .. } => {
                // Attempts that were in flight when it opened, and early probes, do not move the next probe.
                if now.mono >= self.probe_at {
                    self.open(now, since, probes + 1, asked, jitter);
                }
                false
            }
            StoredBreaker::Closed | StoredBreaker::Draining => {
                let is_asked = asked.is_some_and(|asked| asked > LONG_WAIT);
                let opens = is_asked || self.is_down(failed, since.mono, now.mono);
                if is_asked {
                    // The wait holds for every lane.
                    self.fill_lanes(LANES);
                }
                if opens {
                    self.open(now, since.wall, 0, asked, jitter);
                }
                opens
            }
        }
    }

    /// Returns whether the failures in a row, the first at `since`, show that the endpoint is down.
    fn is_down(&self, failed: &Failed<'_>, since: Mono, now: Mono) -> bool {
        let slow = failed.capacity.map_or(Duration::ZERO, |capacity| {
            Duration::try_from_secs_f64(QUIET_DELIVERIES / capacity).unwrap_or(Duration::MAX)
        });
        let is_alive = matches!(failed.outcome, Outcome::Busy { .. });
        let least = if is_alive { QUIET.1 } else { QUIET.0 }.max(slow);
        let quiet_for = |from: Mono, least: Duration| now.saturating_sub(from) >= least;
        if self.own >= OWN_FAILURES {
            return self.accepted_at.is_none_or(|accepted| quiet_for(accepted, least));
        }
        let alone = self.lanes.len() < LANES;
        // A few conferences that are not found are the conferences' own trouble.
        let least = if alone { least.max(QUIET.1) } else { least };
        self.streak >= FAILURES && quiet_for(since, least) && !(alone && *failed.outcome == Outcome::NotFound)
    }

    fn open(&mut self, now: Now, since: jiff::Timestamp, probes: u32, asked: Option<Duration>, jitter: f64) {
        let plain = backoff::doubled(PROBE_WAITS.0, probes, PROBE_WAITS.1);
        let spread = plain.mul_f64(1.0 + JITTER * jitter.clamp(-1.0, 1.0)).clamp(PROBE_WAITS.0, PROBE_WAITS.1);
        let wait = spread.max(asked.unwrap_or_default());
        self.probe_at = now.mono + wait;
        self.set(StoredBreaker::Open { since, probes, probe_at: saturating_add(now.wall, wait) });
    }

    fn set(&mut self, state: StoredBreaker) {
        self.state = state;
        self.changed = true;
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::outcome::TransportFailure;
    use super::*;

    const CONNECT: Outcome = Outcome::TransportFailed(TransportFailure::Connect);
    const TIMEOUT: Outcome = Outcome::TransportFailed(TransportFailure::Timeout);

    fn now(seconds: u64) -> Now {
        Now { mono: Mono::ZERO, wall: Timestamp::UNIX_EPOCH }.after(Duration::from_secs(seconds))
    }

    fn fail(breaker: &mut Breaker, lane: i64, outcome: Outcome, seconds: u64) -> bool {
        let failed = Failed { lane: LaneId(lane), outcome: &outcome, asked: None, capacity: None, jitter: 0.0 };
        breaker.failed(&failed, now(seconds))
    }

    #[test]
    fn three_failures_in_a_row_that_are_the_endpoints_own_fault_open_it() {
        let unreachable = [TransportFailure::Dns, TransportFailure::Tls].map(Outcome::TransportFailed);
        for outcome in [CONNECT, TIMEOUT, Outcome::Unauthorized].into_iter().chain(unreachable) {
            let mut breaker = Breaker::default();
            assert!(!fail(&mut breaker, 1, outcome, 0) && !fail(&mut breaker, 1, outcome, 1));
            assert!(fail(&mut breaker, 1, outcome, 2), "{outcome:?}");
            assert_eq!(breaker.probe_at(), Some(now(7).mono));
        }
    }

    #[test]
    fn one_conferences_failing_delivery_does_not_open_it() {
        let mut breaker = Breaker::default();
        for seconds in 0..100 {
            assert!(!fail(&mut breaker, 1, Outcome::ServerError, seconds));
        }
        assert!(!fail(&mut breaker, 2, Outcome::ServerError, 100));
        assert!(fail(&mut breaker, 3, Outcome::ServerError, 101));
    }

    #[test]
    fn a_success_in_between_keeps_it_closed() {
        let mut breaker = Breaker::default();
        for lane in 0..100 {
            assert!(!fail(&mut breaker, lane, CONNECT, 0));
            assert!(!fail(&mut breaker, lane, CONNECT, 0));
            assert!(!breaker.succeeded(Mono::ZERO));
        }
        assert_eq!(breaker.state(), StoredBreaker::Closed);
    }

    #[test]
    fn one_conferences_failures_open_it_if_nothing_else_was_accepted_for_two_minutes() {
        let mut breaker = Breaker::default();
        for seconds in 0..120 {
            assert!(!fail(&mut breaker, 1, Outcome::ServerError, seconds));
        }
        assert!(fail(&mut breaker, 1, Outcome::ServerError, 120));
        let mut breaker = Breaker::default();
        assert!((0..1000).all(|seconds| !fail(&mut breaker, 1, Outcome::NotFound, seconds)), "that is its own trouble");
    }

    #[test]
    fn an_endpoint_that_was_well_a_moment_ago_is_given_a_moment() {
        for outcome in [CONNECT, Outcome::Unavailable { wait: None }, Outcome::NotFound] {
            let mut breaker = Breaker::default();
            breaker.succeeded(now(10).mono);
            for lane in 0..30 {
                assert!(!fail(&mut breaker, lane, outcome, 11), "{outcome:?}");
            }
            assert!(!fail(&mut breaker, 1, outcome, 14));
            assert!(fail(&mut breaker, 1, outcome, 16), "{outcome:?}");
            assert!(matches!(breaker.state(), StoredBreaker::Open { since, .. } if since == now(11).wall));
        }
    }

    #[test]
    fn an_endpoint_that_takes_little_is_not_down_between_two_deliveries() {
        let (busy, down) = (Outcome::Busy { wait: None }, Outcome::Unavailable { wait: None });
        for (outcome, capacity, opens) in [(busy, 1.0, 120), (busy, 0.01, 400), (down, 1.0, 5), (down, 0.1, 40)] {
            let mut breaker = Breaker::default();
            let opened = (0..1000).find(|seconds| {
                let lane = LaneId(i64::try_from(*seconds).unwrap());
                let failed = Failed { lane, outcome: &outcome, asked: None, capacity: Some(capacity), jitter: 0.0 };
                breaker.failed(&failed, now(*seconds))
            });
            assert_eq!(opened, Some(opens), "{outcome:?}");
        }
    }

    #[test]
    fn failures_that_are_the_deliverys_own_fault_do_not_open_it() {
        let mut breaker = Breaker::default();
        for lane in 0..100 {
            assert!(!fail(&mut breaker, lane, Outcome::Refused, 0));
        }
        assert_eq!(breaker.take_change(), None);
    }

    #[test]
    fn probes_are_five_seconds_to_ten_minutes_apart_and_the_first_success_drains() {
        let mut breaker = Breaker::default();
        for lane in 0..3 {
            fail(&mut breaker, lane, CONNECT, 0);
        }
        let mut gaps = Vec::new();
        for _ in 0..10 {
            let at = breaker.probe_at().unwrap().as_secs();
            fail(&mut breaker, 1, CONNECT, at);
            gaps.push(breaker.probe_at().unwrap().as_secs() - at);
        }
        assert_eq!(gaps, [10, 20, 40, 80, 160, 320, 600, 600, 600, 600]);
        assert!(breaker.succeeded(Mono::ZERO));
        assert_eq!((breaker.take_change(), breaker.take_change()), (Some(StoredBreaker::Draining), None));
        breaker.drained();
        assert_eq!(breaker.take_change(), Some(StoredBreaker::Closed));
    }

    #[test]
    fn probes_wait_as_long_as_the_receiver_asked() {
        let mut breaker = Breaker::default();
        let wait = Some(Duration::from_secs(1000));
        let outcome = Outcome::Busy { wait };
        let failed = Failed { lane: LaneId(1), outcome: &outcome, asked: wait, capacity: None, jitter: 0.0 };
        assert!(breaker.failed(&failed, now(0)), "it asks for a long wait");
        assert_eq!(breaker.early_probe_not_of(now(500).mono), None);
        assert_eq!(breaker.probe_at(), Some(now(1000).mono));
    }

    #[test]
    fn a_lane_that_did_not_fail_is_probed_early_until_three_have_failed() {
        let mut breaker = Breaker::default();
        for seconds in 0..3 {
            fail(&mut breaker, 1, TIMEOUT, seconds);
        }
        assert_eq!(breaker.early_probe_not_of(now(6).mono), None, "probes are at least five seconds apart");
        assert_eq!(breaker.early_probe_not_of(now(7).mono), Some(vec![LaneId(1)]));
        fail(&mut breaker, 2, TIMEOUT, 7);
        fail(&mut breaker, 3, TIMEOUT, 12);
        assert_eq!(breaker.early_probe_not_of(now(17).mono), None);
    }

    #[test]
    fn the_stored_state_is_taken_over_and_a_clock_that_jumped_does_not_delay_the_probe() {
        let mut breaker = Breaker::default();
        let stored = StoredBreaker::Open { since: now(0).wall, probes: 9, probe_at: now(1_000_000).wall };
        assert!(breaker.adopt(stored, now(10)));
        assert_eq!(breaker.probe_at(), Some(now(610).mono));
        assert!(!breaker.adopt(stored, now(20)), "the state is the same");
        breaker.succeeded(Mono::ZERO);
        assert!(!breaker.adopt(stored, now(30)), "a state that is not stored yet is newer");
    }
}
