//! How many deliveries a second an endpoint takes, and the rate that follows from it: a curve that returns to what was
//! measured, stays near it, and then rises faster and faster.

use std::time::Duration;

/// The rate after a refusal, as a share of the measured capacity.
const STEP_DOWN: f64 = 0.95;

/// The rate takes this long to return to the measured capacity: the first value after the first round, twice as long after
/// each further round, up to the second value.
pub(super) const PLATEAU: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(16));

/// The longest plateau lasts at least the time of so many deliveries; a shorter one proportionally fewer.
const PLATEAU_DELIVERIES: f64 = 16.0;

/// A rate that has risen to this multiple of the measured capacity without a refusal is taken as measured.
const RISEN: f64 = 2.0;

/// The least rate that is learned: a wrong measurement must not stop an endpoint for long.
const LEAST: f64 = 1.0 / 300.0;

/// How many deliveries a second an endpoint takes, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Capacity {
    /// Deliveries a second.
    pub(super) measured: f64,
    /// See [`PLATEAU`].
    pub(super) plateau: Duration,
    /// How long the rate has risen since the last refusal. Time in which there was nothing to send does not count.
    risen_for: Duration,
}

impl Capacity {
    /// Returns a capacity that was just measured. The rate begins below it.
    pub(super) fn new(measured: f64, plateau: Duration) -> Self {
        let plateau = plateau.clamp(PLATEAU.0, PLATEAU.1);
        Self { measured: measured.clamp(LEAST, 1e6), plateau, risen_for: Duration::ZERO }
    }

    /// Returns how long the rate takes to come back to what was measured.
    fn plateau(&self) -> Duration {
        let share = self.plateau.as_secs_f64() / PLATEAU.1.as_secs_f64();
        self.plateau.max(Duration::from_secs_f64(PLATEAU_DELIVERIES * share / self.measured))
    }

    /// Returns the rate that holds now, in attempts a second.
    pub(super) fn rate(&self) -> f64 {
        let plateau = self.plateau().as_secs_f64();
        let x = (self.risen_for.as_secs_f64() - plateau) / plateau;
        self.measured * (1.0 + (1.0 - STEP_DOWN) * x.powi(3))
    }

    /// Lets the rate rise after a delivery was accepted, `since` the one before it.
    pub(super) fn rise(&mut self, since: Duration) {
        // A long time between two deliveries means that there was nothing to send, which shows nothing.
        self.risen_for += since.min(Duration::from_secs_f64(2.0 / self.rate()));
        if self.rate() > self.measured * RISEN {
            let risen = Self::new(self.rate(), PLATEAU.0);
            *self = Self { risen_for: risen.plateau(), ..risen };
        }
    }
}
