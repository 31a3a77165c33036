//! Liveness of the daemon's loops: a loop beats once per iteration, and the watchdog reads when it last did.

mod watchdog;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Mono;

pub use watchdog::{Watchdog, WatchedLoop};

/// The longest time between two beats of a loop that has nothing to do: it wakes up just to beat.
pub const BEAT_INTERVAL: Duration = Duration::from_secs(1);

/// When a loop last completed an iteration. Clones share one value.
#[derive(Debug, Clone, Default)]
pub struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    /// Records an iteration at `now`.
    pub fn beat(&self, now: Mono) {
        self.0.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns the time of the last beat in whole milliseconds, or zero before the first one.
    #[must_use]
    pub fn last(&self) -> Mono {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// One [`Watchdog`] for all who ask whether the daemon makes progress. Clones share it.
#[derive(Debug, Clone)]
pub struct Liveness(Arc<Mutex<Watchdog>>);

impl Liveness {
    /// Watches `loops`. Their deadlines start at `now`.
    #[must_use]
    pub fn new(loops: Vec<WatchedLoop>, now: Mono) -> Self {
        Self(Arc::new(Mutex::new(Watchdog::new(loops, now))))
    }

    /// Returns the names of the loops that are stalled.
    #[must_use]
    pub fn stalled(&self, now: Mono) -> Vec<&'static str> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).check(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_sees_the_last_beat() {
        let heartbeat = Heartbeat::default();
        let clone = heartbeat.clone();
        assert_eq!(clone.last(), Mono::ZERO);
        heartbeat.beat(Duration::from_secs(5));
        heartbeat.beat(Duration::from_millis(7_001));
        assert_eq!(clone.last(), Duration::from_millis(7_001));
    }
}
