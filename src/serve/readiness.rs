//! Whether the daemon is ready: the store is open, the listener accepts, and no stop is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

/// The conditions of readiness. Clones share them. Not ready at first.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    store: AtomicBool,
    listener: AtomicBool,
    stopping: AtomicBool,
}

/// The conditions at one moment.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct ReadinessConditions {
    store: bool,
    listener: bool,
    stopping: bool,
}

impl ReadinessConditions {
    pub(super) fn is_ready(self) -> bool {
        self.store && self.listener && !self.stopping
    }
}

impl Readiness {
    /// Sets whether the store is open.
    pub fn set_store_open(&self, open: bool) {
        self.0.store.store(open, Ordering::Release);
    }

    /// Sets whether the listener accepts connections. The server calls this.
    pub(super) fn set_listening(&self, listening: bool) {
        self.0.listener.store(listening, Ordering::Release);
    }

    /// Marks the daemon as stopping: it is never ready again.
    pub fn set_stopping(&self) {
        self.0.stopping.store(true, Ordering::Release);
    }

    /// Whether all conditions hold.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.conditions().is_ready()
    }

    pub(super) fn conditions(&self) -> ReadinessConditions {
        ReadinessConditions {
            store: self.0.store.load(Ordering::Acquire),
            listener: self.0.listener.load(Ordering::Acquire),
            stopping: self.0.stopping.load(Ordering::Acquire),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_needs_an_open_store_and_a_listener_and_no_stop() {
        let readiness = Readiness::default();
        assert!(!readiness.is_ready());
        readiness.set_store_open(true);
        assert!(!readiness.is_ready());
        readiness.clone().set_listening(true);
        assert!(readiness.is_ready());
        readiness.set_stopping();
        assert!(!readiness.is_ready());
    }
}
