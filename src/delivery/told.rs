//! What was told of an endpoint's state, so that each trouble is told once and not at each turn.

use std::time::Duration;

use super::reason::FailureReason;
use super::report::EndpointReport;
use crate::clock::Mono;
use crate::model::EndpointName;
use crate::store::StoredBreaker;

/// Trouble that returns within this time of the recovery is the same trouble.
const SAME_TROUBLE: Duration = Duration::from_secs(120);

/// What was told of one endpoint.
#[derive(Debug, Default)]
pub(super) struct Told {
    trouble: Trouble,
    is_limited: bool,
}

/// Each follows the one before it, `Nothing` the last.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    #[default]
    Nothing,
    Begun,
    /// Over since then, unless it returns.
    Over(Mono),
}

impl Told {
    /// Returns the report of the breaker's state, if it has to be told.
    pub(super) fn breaker(
        &mut self,
        endpoint: &EndpointName,
        breaker: StoredBreaker,
        reason: Option<FailureReason>,
        now: Mono,
    ) -> Option<EndpointReport> {
        let next = match (breaker, self.trouble) {
            (StoredBreaker::Open { .. }, Trouble::Begun) => return None,
            (StoredBreaker::Open { .. }, Trouble::Over(at)) if now < at + SAME_TROUBLE => return None,
            (StoredBreaker::Open { .. }, _) => Trouble::Begun,
            (_, Trouble::Over(_)) => return None,
            (StoredBreaker::Draining | StoredBreaker::Closed, _) => Trouble::Over(now),
        };
        self.trouble = next;
        Some(EndpointReport::Breaker { endpoint: endpoint.clone(), breaker, reason })
    }

    /// Returns the report of the learned limit, if it has to be told.
    pub(super) fn limit(&mut self, endpoint: &EndpointName, per_second: Option<f64>) -> Option<EndpointReport> {
        let changed = self.is_limited != per_second.is_some();
        self.is_limited = per_second.is_some();
        changed.then(|| EndpointReport::Limited { endpoint: endpoint.clone(), per_second })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn trouble_that_returns_soon_is_told_once_and_later_trouble_again() {
        let endpoint = EndpointName::parse("ops").unwrap();
        let open = StoredBreaker::Open { since: Timestamp::UNIX_EPOCH, probes: 0, probe_at: Timestamp::UNIX_EPOCH };
        let (draining, mut told) = (StoredBreaker::Draining, Told::default());
        let mut tell =
            |breaker, seconds| told.breaker(&endpoint, breaker, None, Duration::from_secs(seconds)).is_some();
        assert!(tell(open, 0) && tell(draining, 10));
        assert!(!tell(open, 12) && !tell(draining, 20) && !tell(StoredBreaker::Closed, 21));
        assert!(!tell(open, 30) && tell(open, 200) && !tell(open, 210), "it did not recover after all");
        assert!(tell(draining, 300));
        assert!(tell(open, 1000) && tell(draining, 1010) && !tell(StoredBreaker::Closed, 1100));
    }

    #[test]
    fn a_limit_is_told_when_it_is_learned_and_when_it_is_lifted() {
        let endpoint = EndpointName::parse("ops").unwrap();
        let mut told = Told::default();
        let mut tell = |rate| told.limit(&endpoint, rate).is_some();
        assert!(!tell(None) && tell(Some(1.0)) && !tell(Some(1.1)) && tell(None) && !tell(None));
    }
}
