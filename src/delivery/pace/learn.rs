//! What a pace learns of an endpoint at a refusal.

use std::time::Duration;

use super::Pace;
use super::capacity::{Capacity, PLATEAU};
use super::round::Round;
use super::share::RefusedShare;
use crate::clock::Mono;

/// The rate after a refusal that came too early to measure anything, as a share of the rate before it.
const EARLY_STEP_DOWN: f64 = 0.9;

/// The same after a long round.
const LONG_STEP_DOWN: f64 = 0.97;

/// So many refusals in a row, for longer than the receiver needed for so many deliveries, show that the capacity fell: the
/// next round is measured from nothing.
const CAPACITY_FELL: (u32, f64) = (4, 2.0);

/// The capacity falls at most to this share in a round.
const FALL: f64 = 0.5;

/// How long no limit is learned once refusals were seen to be none of a limit.
const NO_LIMIT_FOR: Duration = Duration::from_secs(1800);

impl Pace {
    /// Ends a round with the refusal of an attempt that began at `began`, and learns from it.
    pub(super) fn end_round(&mut self, began: Mono, now: Mono) {
        if now < self.no_limit_until {
            self.shrink_to(self.window / 2);
            return;
        }
        if self.shows_no_limit(began) {
            self.capacity = None;
            self.no_limit_until = now + NO_LIMIT_FOR;
            self.idle();
            return;
        }
        let next = Some(Round::new(began));
        let Some(round) = self.round else {
            self.round = next;
            match &mut self.capacity {
                // This is a guess, so the rate soon rises again if it was wrong.
                Some(capacity) => *capacity = Capacity::new(capacity.rate() * EARLY_STEP_DOWN, PLATEAU.0),
                None => self.shrink_to(self.window / 2),
            }
            return;
        };
        if round.is_empty() {
            // The receiver still has nothing to give: the round goes on.
            return;
        }
        let (measured, is_long) = (round.per_second(began), round.is_long(began));
        let measured = match self.capacity {
            None => measured,
            Some(capacity) if !is_long && self.has_fallen(capacity) => measured.max(capacity.measured * FALL),
            Some(capacity) if is_long => measured.max(capacity.rate() * LONG_STEP_DOWN),
            Some(capacity) => measured.max(capacity.rate() * EARLY_STEP_DOWN),
        };
        let plateau = self.capacity.map_or(PLATEAU.0, |capacity| capacity.plateau * 2);
        self.capacity = Some(Capacity::new(measured, plateau));
        self.round = next;
        // Little's law: so many are under way at once when the receiver is busy all the time.
        let busy = measured * self.latency;
        self.shrink_to((1..self.window).find(|window| f64::from(*window) >= busy).unwrap_or(self.window));
    }

    /// Counts a refusal. Returns whether refusals come as often however far the rate is lowered.
    fn shows_no_limit(&mut self, began: Mono) -> bool {
        let Some(rate) = self.learned() else { return false };
        match &mut self.share {
            Some(share) => share.refuse(began, rate),
            None => {
                self.share = Some(RefusedShare::new(began, rate));
                false
            }
        }
    }

    /// Returns whether the refusals in a row before the last success show that the endpoint takes less than before.
    fn has_fallen(&self, capacity: Capacity) -> bool {
        let (refusals, refused_for) = self.refusals_before;
        refusals >= CAPACITY_FELL.0 && refused_for.as_secs_f64() * capacity.measured > CAPACITY_FELL.1
    }
}
