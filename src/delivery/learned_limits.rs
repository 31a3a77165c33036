//! The limits that the dispatcher has learned of the endpoints, for others to read while it runs.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::model::EndpointName;

/// The endpoints that are limited, each with how many deliveries a second it takes. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct LearnedLimits(Arc<RwLock<BTreeMap<EndpointName, f64>>>);

impl LearnedLimits {
    /// Returns the rate to which deliveries slowed down because the endpoint was busy; `None` if it takes all of them.
    #[must_use]
    pub fn per_second(&self, endpoint: &EndpointName) -> Option<f64> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(endpoint).copied()
    }

    pub(super) fn set(&self, endpoint: &EndpointName, per_second: Option<f64>) {
        let mut limits = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match per_second {
            Some(per_second) => limits.insert(endpoint.clone(), per_second),
            None => limits.remove(endpoint),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_shown_until_it_is_lifted() {
        let (limits, ops) = (LearnedLimits::default(), EndpointName::parse("ops").unwrap());
        let shown = limits.clone();
        limits.set(&ops, Some(1.5));
        assert_eq!(shown.per_second(&ops), Some(1.5));
        limits.set(&ops, None);
        assert_eq!(shown.per_second(&ops), None);
    }
}
