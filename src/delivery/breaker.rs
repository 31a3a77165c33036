//! The circuit breaker of an endpoint: a pure state machine. While it is open, one delivery at a time probes the endpoint, and
//! all others wait without using up their attempts. After the first success the backlog drains at a limited rate.
//!
//! The breaker is the lower end of the endpoint's pace ([`super::pace`]): it opens only if nothing was accepted for a while,
//! longer than an endpoint that takes little needs between two deliveries. Then three failures in a row that are the
//! endpoint's own fault open it. If the fault is unclear, it takes five, of three lanes, or two minutes: one conference's
//! failing delivery does not prove that the endpoint is down. Until three lanes have failed, a lane that has not failed is
//! also probed before the next probe is due. An endpoint that asks for a long wait, and accepts nothing
//! meanwhile, opens it at once.

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
    /// When the attempt began.
    pub began: Mono,
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
        let Failed { lane, outcome, began, asked, jitter, .. } = *failed;
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
                // One that accepted others meanwhile did not mean them.
                let is_well = self.accepted_at.is_some_and(|accepted| accepted >= began);
                let is_asked = !is_well && asked.is_some_and(|asked| asked > LONG_WAIT);
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
mod tests;
