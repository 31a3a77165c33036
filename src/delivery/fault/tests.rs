use std::time::Duration;

use super::*;
use crate::delivery::outcome::TransportFailure;

const UNAVAILABLE: Outcome = Outcome::Unavailable { wait: None };
const UNREACHABLE: Outcome = Outcome::TransportFailed(TransportFailure::Connect);
const TIMEOUT: Outcome = Outcome::TransportFailed(TransportFailure::Timeout);

fn at(seconds: u64) -> Mono {
    Duration::from_secs(seconds)
}

fn lane(lane: i64) -> RunKey {
    RunKey::Lane(LaneId(lane))
}

/// The first delivery of a lane fails.
fn blame(evidence: &mut Evidence, number: i64, outcome: Outcome, own_failures: u32, seconds: u64) -> Blame {
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

/// The same; returns whether the failure is the endpoint's.
fn fails(evidence: &mut Evidence, number: i64, outcome: Outcome, own_failures: u32, seconds: u64) -> bool {
    blame(evidence, number, outcome, own_failures, seconds) != Blame::Delivery
}

#[test]
fn a_delivery_that_fails_again_and_again_while_only_others_are_accepted_is_at_fault() {
    for outcome in [Outcome::ServerError, Outcome::BodyFailed, Outcome::Unexpected, TIMEOUT] {
        let mut evidence = Evidence::default();
        assert_eq!(blame(&mut evidence, 1, outcome, 0, 1), Blame::Endpoint);
        assert_eq!(blame(&mut evidence, 1, outcome, 0, 2), Blame::Endpoint);
        evidence.accepted(DeliveryId(2), lane(2), at(3));
        let suspected = (4..).take_while(|at| blame(&mut evidence, 1, outcome, 0, *at) == Blame::Suspect).count();
        assert!((4..8).contains(&suspected), "{outcome:?}: {suspected}");
        assert_eq!(blame(&mut evidence, 1, outcome, 1, 20), Blame::Delivery, "and nothing shows that it is not");
    }
}

#[test]
fn a_server_error_is_the_endpoints_as_long_as_others_fail_as_well() {
    let mut evidence = Evidence::default();
    // A receiver that takes one of three, whosever it is.
    for number in 0..1000 {
        for (delivery, seconds) in [(2 * number, 3 * number), (2 * number + 1, 3 * number + 1)] {
            let seconds = u64::try_from(seconds).unwrap();
            assert!(fails(&mut evidence, delivery, Outcome::ServerError, 0, seconds), "{number}");
        }
        evidence.accepted(DeliveryId(2 * number), lane(2 * number), at(u64::try_from(3 * number + 2).unwrap()));
    }
}

#[test]
fn a_delivery_that_was_refused_now_and_then_by_a_receiver_of_two_is_not_at_fault() {
    for (share, outcome) in [(0.3, Outcome::ServerError), (0.5, Outcome::ServerError), (0.5, UNAVAILABLE)] {
        let mut random = fastrand::Rng::with_seed(5);
        let (mut evidence, mut own) = (Evidence::default(), 0);
        let mut next = 8;
        let mut waiting: std::collections::VecDeque<i64> = (0..8).collect();
        for seconds in 0..20_000 {
            let delivery = waiting.pop_front().unwrap();
            if random.f64() < share {
                own += u32::from(!fails(&mut evidence, delivery, outcome, 0, seconds));
                waiting.push_back(delivery);
            } else {
                evidence.accepted(DeliveryId(delivery), lane(delivery), at(seconds));
                waiting.push_back(next);
                next += 1;
            }
        }
        assert!(own <= 20, "{own} of 20 000 at {share}");
    }
}

#[test]
fn a_success_of_its_own_conference_shows_nothing_about_a_delivery() {
    let mut evidence = Evidence::default();
    evidence.accepted(DeliveryId(9), lane(1), at(1));
    for seconds in 2..100 {
        assert_eq!(blame(&mut evidence, 1, Outcome::Unexpected, 0, seconds), Blame::Endpoint);
        evidence.accepted(DeliveryId(9), lane(1), at(seconds));
    }
}

#[test]
fn busy_and_unreachable_are_the_endpoints_until_others_were_accepted_after_each_of_eight() {
    for outcome in [Outcome::Busy { wait: None }, UNAVAILABLE, UNREACHABLE] {
        let mut evidence = Evidence::default();
        for number in 0..8 {
            assert!(fails(&mut evidence, 1, outcome, 1, 10 * number), "{outcome:?}");
            assert!(fails(&mut evidence, 1, outcome, 1, 10 * number + 1), "{outcome:?}");
            evidence.accepted(DeliveryId(2), lane(2), at(10 * number + 5));
        }
        assert!(!fails(&mut evidence, 1, outcome, 1, 80), "{outcome:?}");
        for seconds in 81..100 {
            assert!(
                fails(&mut evidence, 1, outcome, 2, seconds),
                "nobody shows that the endpoint is well: {outcome:?}"
            );
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
    assert_eq!((evidence.failing.len(), evidence.failing_runs.len()), (REMEMBERED, LANES));
}
