//! Signs of life: a loop says at each turn that it turned, and whoever watches over it sees when it last did.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Mono;

/// A loop that has a pulse turns at least so often, if only to say so.
pub const TURN_EVERY: Duration = Duration::from_secs(1);

/// When a loop last turned. Clones are the same pulse.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// The loop turns, now.
    pub fn beat(&self, now: Mono) {
        self.0.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// When the loop last turned, to the millisecond; zero if it never did.
    #[must_use]
    pub fn last(&self) -> Mono {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_holds_the_pulse_sees_the_last_turn() {
        let pulse = Pulse::default();
        let seen = pulse.clone();
        assert_eq!(seen.last(), Mono::ZERO);
        pulse.beat(Duration::from_secs(5));
        pulse.beat(Duration::from_millis(7_001));
        assert_eq!(seen.last(), Duration::from_millis(7_001));
    }
}
