//! Whose fault a failure is, as far as the endpoint's other answers show. Pure.
//!
//! Some answers say nothing about the delivery: busy, unavailable, no connection. Others may be about either: a server error
//! can come from this one event. It counts as the endpoint's until the endpoint accepts others meanwhile; from then on it
//! counts as the delivery's, until others fail as well.

use std::collections::{BTreeMap, BTreeSet};

use super::outcome::Outcome;
use super::ready::RunKey;
use crate::clock::Mono;
use crate::store::{DeliveryId, LaneId};

/// So many conferences that are not found, and no success between, show that it is not the delivery.
const LANES: usize = 3;

/// How many failing deliveries are remembered.
const REMEMBERED: usize = 4096;

/// A failed attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct JudgedFailure<'a> {
    pub(super) delivery: DeliveryId,
    pub(super) run: RunKey,
    pub(super) lane: LaneId,
    pub(super) outcome: &'a Outcome,
    pub(super) began: Mono,
    /// How many of the delivery's failures before were its own.
    pub(super) own_failures: u32,
    pub(super) breaker_is_open: bool,
}

/// What the endpoint's last answers show.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// When deliveries of two runs were accepted last, the later first.
    accepted: [Option<(RunKey, Mono)>; 2],
    /// When the attempts of deliveries failed last.
    failed: BTreeMap<DeliveryId, Mono>,
    /// The runs (the first few) that failed, and the lanes that were not found, since the last success.
    failing: BTreeSet<RunKey>,
    not_found: BTreeSet<LaneId>,
}

impl Evidence {
    pub(super) fn accepted(&mut self, delivery: DeliveryId, run: RunKey, now: Mono) {
        self.failed.remove(&delivery);
        self.failing.clear();
        self.not_found.clear();
        if self.accepted[0].is_some_and(|(last, _)| last != run) {
            self.accepted[1] = self.accepted[0];
        }
        self.accepted[0] = Some((run, now));
    }

    /// Notes a failure. Returns whether it is the endpoint's.
    pub(super) fn failed(&mut self, failure: &JudgedFailure<'_>, now: Mono) -> bool {
        let since = self.failed.insert(failure.delivery, now).unwrap_or(failure.began);
        if self.failed.len() > REMEMBERED {
            self.failed.pop_first();
        }
        if self.failing.len() < LANES {
            self.failing.insert(failure.run);
        }
        match failure.outcome {
            Outcome::Accepted | Outcome::Gone | Outcome::Unsendable | Outcome::Refused => false,
            Outcome::NotFound => {
                if self.not_found.len() < LANES {
                    self.not_found.insert(failure.lane);
                }
                failure.breaker_is_open || self.not_found.len() >= LANES
            }
            outcome if outcome.is_of_the_endpoint() || failure.breaker_is_open => true,
            _ => {
                let alone = self.failing.iter().all(|run| *run == failure.run);
                let shown_before = failure.own_failures > 0 && alone;
                !(shown_before || self.accepts_others(failure.run, since))
            }
        }
    }

    /// Returns whether a delivery of another run was accepted since a time.
    fn accepts_others(&self, run: RunKey, since: Mono) -> bool {
        self.accepted.iter().flatten().any(|(other, at)| *other != run && *at >= since)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Mono {
        Duration::from_secs(seconds)
    }

    fn lane(lane: i64) -> RunKey {
        RunKey::Lane(LaneId(lane))
    }

    /// The first delivery of a lane fails.
    fn fails(evidence: &mut Evidence, number: i64, outcome: Outcome, own_failures: u32, seconds: u64) -> bool {
        let failure = JudgedFailure {
            delivery: DeliveryId(number),
            run: lane(number),
            lane: LaneId(number),
            outcome: &outcome,
            began: at(seconds),
            own_failures,
            breaker_is_open: false,
        };
        evidence.failed(&failure, at(seconds))
    }

    #[test]
    fn a_server_error_is_the_endpoints_until_the_endpoint_accepts_others() {
        let mut evidence = Evidence::default();
        assert!(fails(&mut evidence, 1, Outcome::ServerError, 0, 1));
        assert!(fails(&mut evidence, 1, Outcome::ServerError, 0, 2));
        evidence.accepted(DeliveryId(2), lane(2), at(3));
        assert!(!fails(&mut evidence, 1, Outcome::ServerError, 0, 4), "the endpoint is well");
        assert!(!fails(&mut evidence, 1, Outcome::ServerError, 1, 5), "and nothing shows that it is not");
        assert!(fails(&mut evidence, 2, Outcome::ServerError, 0, 6));
        assert!(fails(&mut evidence, 1, Outcome::ServerError, 2, 7), "now others fail as well");
    }

    #[test]
    fn a_success_of_its_own_conference_shows_nothing_about_a_delivery() {
        let mut evidence = Evidence::default();
        evidence.accepted(DeliveryId(9), lane(1), at(1));
        assert!(fails(&mut evidence, 1, Outcome::Unexpected, 0, 1));
        evidence.accepted(DeliveryId(8), lane(2), at(2));
        evidence.accepted(DeliveryId(9), lane(1), at(3));
        assert!(!fails(&mut evidence, 1, Outcome::Unexpected, 0, 4));
    }

    #[test]
    fn busy_and_unreachable_are_the_endpoints_whatever_it_accepts() {
        let mut evidence = Evidence::default();
        let unreachable = Outcome::TransportFailed(super::super::outcome::TransportFailure::Connect);
        for outcome in [Outcome::Busy { wait: None }, Outcome::Unavailable { wait: None }, unreachable] {
            for seconds in 0..5 {
                assert!(fails(&mut evidence, 1, outcome, 1, 10 * seconds), "{outcome:?}");
                evidence.accepted(DeliveryId(2), lane(2), at(10 * seconds + 5));
            }
        }
    }

    #[test]
    fn not_found_is_the_endpoints_if_three_conferences_get_it_without_a_success_between() {
        let mut evidence = Evidence::default();
        assert!(!fails(&mut evidence, 1, Outcome::NotFound, 0, 1));
        assert!(!fails(&mut evidence, 2, Outcome::NotFound, 0, 2));
        assert!(!fails(&mut evidence, 1, Outcome::NotFound, 0, 3));
        evidence.accepted(DeliveryId(9), lane(9), at(4));
        assert!(!fails(&mut evidence, 3, Outcome::NotFound, 0, 5));
        assert!(!fails(&mut evidence, 1, Outcome::NotFound, 0, 6));
        assert!(fails(&mut evidence, 2, Outcome::NotFound, 0, 7));
        assert!(!fails(&mut evidence, 4, Outcome::Refused, 0, 8), "a refused body is the delivery's own");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut evidence = Evidence::default();
        assert!((0..10_000).all(|number| fails(&mut evidence, number, Outcome::ServerError, 0, 1)));
        assert_eq!((evidence.failed.len(), evidence.failing.len()), (REMEMBERED, LANES));
    }
}
