//! Whether the daemon is ready: the store is open and well, the listener accepts, every loop makes progress, and no stop is
//! under way.

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
#[derive(Debug, Clone, Serialize)]
pub(super) struct ReadinessConditions {
    store: bool,
    /// Why the store cannot be used, if it is open and cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    store_reason: Option<&'static str>,
    listener: bool,
    stopping: bool,
    /// The names of the loops that stopped making progress.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stalled: Vec<&'static str>,
}

impl ReadinessConditions {
    pub(super) fn is_ready(&self) -> bool {
        self.store && self.listener && !self.stopping && self.stalled.is_empty()
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

    pub(super) fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Acquire)
    }

    /// Returns the conditions, given why the store cannot be used, if it cannot, and which loops are stalled.
    pub(super) fn conditions(
        &self,
        store_outage: Option<&'static str>,
        stalled: Vec<&'static str>,
    ) -> ReadinessConditions {
        ReadinessConditions {
            store: self.0.store.load(Ordering::Acquire) && store_outage.is_none(),
            store_reason: store_outage,
            listener: self.0.listener.load(Ordering::Acquire),
            stopping: self.is_stopping(),
            stalled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_needs_a_store_that_works_and_a_listener_and_loops_that_turn_and_no_stop() {
        let readiness = Readiness::default();
        let is_ready = || readiness.conditions(None, Vec::new()).is_ready();
        assert!(!is_ready());
        readiness.set_store_open(true);
        assert!(!is_ready());
        readiness.clone().set_listening(true);
        assert!(is_ready());
        assert!(!readiness.conditions(Some("gone"), Vec::new()).is_ready());
        assert!(!readiness.conditions(None, vec!["polling"]).is_ready());
        readiness.set_stopping();
        assert!(!is_ready());
    }
}
