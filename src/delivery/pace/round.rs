//! What an endpoint accepted from one refusal to a later one.

use std::time::Duration;

use crate::clock::Mono;

/// A round that accepted so many deliveries in so long ended at a rate that was nearly right.
const LONG: (u32, Duration) = (8, Duration::from_secs(1));

/// Of a pause that the receiver asked for, only so much counts if it took few deliveries: it may have been ready long before.
const ASKED_COUNTS: Duration = Duration::from_secs(5);

/// So many accepted deliveries and refusals show how large a share is refused.
const ENOUGH: (u32, u32) = (8, 3);

/// From one refusal on. A receiver that limits its rate had nothing left to give at that time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Round {
    /// When the attempt began whose refusal began it.
    began: Mono,
    accepted: u32,
    refused: u32,
    /// The parts of asked pauses that do not count if few deliveries were accepted.
    asked: Duration,
}

impl Round {
    pub(super) fn new(began: Mono) -> Self {
        Self { began, accepted: 0, refused: 0, asked: Duration::ZERO }
    }

    /// Counts a delivery that was accepted, if its attempt began later than the round.
    pub(super) fn accept(&mut self, began: Mono) {
        self.accepted += u32::from(began > self.began);
    }

    pub(super) fn refuse(&mut self) {
        self.refused += 1;
    }

    /// Notes that nothing is sent for `pause`, because the receiver asked for it.
    pub(super) fn pause(&mut self, pause: Duration) {
        self.asked += pause.saturating_sub(ASKED_COUNTS);
    }

    pub(super) fn began(&self) -> Mono {
        self.began
    }

    pub(super) fn is_empty(&self) -> bool {
        self.accepted == 0
    }

    pub(super) fn count(&self) -> u32 {
        self.accepted
    }

    /// Returns the refusals for each accepted delivery, once there are enough of both to compare them.
    pub(super) fn share(&self) -> Option<f64> {
        let is_enough = self.accepted >= ENOUGH.0 && self.refused >= ENOUGH.1;
        is_enough.then(|| f64::from(self.refused) / f64::from(self.accepted))
    }

    pub(super) fn refused_at_most(&self, share: f64) -> bool {
        f64::from(self.refused) <= f64::from(self.accepted) * share
    }

    fn lasted(&self, until: Mono) -> Duration {
        let lasted = until.saturating_sub(self.began);
        // Many at once after a pause were gathered in the pause.
        if self.accepted < LONG.0 { lasted.saturating_sub(self.asked) } else { lasted }
    }

    pub(super) fn is_long(&self, until: Mono) -> bool {
        self.accepted >= LONG.0 && self.lasted(until) >= LONG.1
    }

    /// Returns how many deliveries a second were accepted until an attempt began that was refused.
    pub(super) fn per_second(&self, until: Mono) -> f64 {
        f64::from(self.accepted) / self.lasted(until).as_secs_f64().max(1e-3)
    }

    /// Returns what the receiver took at least: nearly a whole delivery may have been left when the round began.
    pub(super) fn at_least(&self, until: Mono) -> f64 {
        f64::from(self.accepted.saturating_sub(1)) / self.lasted(until).as_secs_f64().max(1e-3)
    }
}
