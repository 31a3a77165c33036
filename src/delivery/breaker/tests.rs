use jiff::Timestamp;

use super::*;
use crate::delivery::outcome::TransportFailure;

const CONNECT: Outcome = Outcome::TransportFailed(TransportFailure::Connect);
const TIMEOUT: Outcome = Outcome::TransportFailed(TransportFailure::Timeout);

fn now(seconds: u64) -> Now {
    Now { mono: Mono::ZERO, wall: Timestamp::UNIX_EPOCH }.after(Duration::from_secs(seconds))
}

fn fail(breaker: &mut Breaker, lane: i64, outcome: Outcome, seconds: u64) -> bool {
    let failed =
        Failed { lane: LaneId(lane), outcome: &outcome, began: Mono::ZERO, asked: None, capacity: None, jitter: 0.0 };
    breaker.failed(&failed, now(seconds))
}

#[test]
fn three_failures_in_a_row_that_are_the_endpoints_own_fault_open_it() {
    let unreachable = [TransportFailure::Dns, TransportFailure::Tls].map(Outcome::TransportFailed);
    for outcome in [CONNECT, TIMEOUT, Outcome::Unauthorized].into_iter().chain(unreachable) {
        let mut breaker = Breaker::default();
        assert!(!fail(&mut breaker, 1, outcome, 0) && !fail(&mut breaker, 1, outcome, 1));
        assert!(fail(&mut breaker, 1, outcome, 2), "{outcome:?}");
        assert_eq!(breaker.probe_at(), Some(now(7).mono));
    }
}

#[test]
fn one_conferences_failing_delivery_does_not_open_it() {
    let mut breaker = Breaker::default();
    for seconds in 0..100 {
        assert!(!fail(&mut breaker, 1, Outcome::ServerError, seconds));
    }
    assert!(!fail(&mut breaker, 2, Outcome::ServerError, 100));
    assert!(fail(&mut breaker, 3, Outcome::ServerError, 101));
}

#[test]
fn a_success_in_between_keeps_it_closed() {
    let mut breaker = Breaker::default();
    for lane in 0..100 {
        assert!(!fail(&mut breaker, lane, CONNECT, 0));
        assert!(!fail(&mut breaker, lane, CONNECT, 0));
        assert!(!breaker.succeeded(Mono::ZERO));
    }
    assert_eq!(breaker.state(), StoredBreaker::Closed);
}

#[test]
fn one_conferences_failures_open_it_if_nothing_else_was_accepted_for_two_minutes() {
    let mut breaker = Breaker::default();
    for seconds in 0..120 {
        assert!(!fail(&mut breaker, 1, Outcome::ServerError, seconds));
    }
    assert!(fail(&mut breaker, 1, Outcome::ServerError, 120));
    let mut breaker = Breaker::default();
    assert!((0..1000).all(|seconds| !fail(&mut breaker, 1, Outcome::NotFound, seconds)), "that is its own trouble");
}

#[test]
fn an_endpoint_that_was_well_a_moment_ago_is_given_a_moment() {
    for outcome in [CONNECT, Outcome::Unavailable { wait: None }, Outcome::NotFound] {
        let mut breaker = Breaker::default();
        breaker.succeeded(now(10).mono);
        for lane in 0..30 {
            assert!(!fail(&mut breaker, lane, outcome, 11), "{outcome:?}");
        }
        assert!(!fail(&mut breaker, 1, outcome, 14));
        assert!(fail(&mut breaker, 1, outcome, 16), "{outcome:?}");
        assert!(matches!(breaker.state(), StoredBreaker::Open { since, .. } if since == now(11).wall));
    }
}

#[test]
fn an_endpoint_that_takes_little_is_not_down_between_two_deliveries() {
    let (busy, down) = (Outcome::Busy { wait: None }, Outcome::Unavailable { wait: None });
    for (outcome, capacity, opens) in [(busy, 1.0, 120), (busy, 0.01, 400), (down, 1.0, 5), (down, 0.1, 40)] {
        let mut breaker = Breaker::default();
        let opened = (0..1000).find(|seconds| {
            let lane = LaneId(i64::try_from(*seconds).unwrap());
            let failed = Failed {
                lane,
                outcome: &outcome,
                began: Mono::ZERO,
                asked: None,
                capacity: Some(capacity),
                jitter: 0.0,
            };
            breaker.failed(&failed, now(*seconds))
        });
        assert_eq!(opened, Some(opens), "{outcome:?}");
    }
}

#[test]
fn failures_that_are_the_deliverys_own_fault_do_not_open_it() {
    let mut breaker = Breaker::default();
    for lane in 0..100 {
        assert!(!fail(&mut breaker, lane, Outcome::Refused, 0));
    }
    assert_eq!(breaker.take_change(), None);
}

#[test]
fn probes_are_five_seconds_to_ten_minutes_apart_and_the_first_success_drains() {
    let mut breaker = Breaker::default();
    for lane in 0..3 {
        fail(&mut breaker, lane, CONNECT, 0);
    }
    let mut gaps = Vec::new();
    for _ in 0..10 {
        let at = breaker.probe_at().unwrap().as_secs();
        fail(&mut breaker, 1, CONNECT, at);
        gaps.push(breaker.probe_at().unwrap().as_secs() - at);
    }
    assert_eq!(gaps, [10, 20, 40, 80, 160, 320, 600, 600, 600, 600]);
    assert!(breaker.succeeded(Mono::ZERO));
    assert_eq!((breaker.take_change(), breaker.take_change()), (Some(StoredBreaker::Draining), None));
    breaker.drained();
    assert_eq!(breaker.take_change(), Some(StoredBreaker::Closed));
}

#[test]
fn probes_wait_as_long_as_the_receiver_asked() {
    let mut breaker = Breaker::default();
    let wait = Some(Duration::from_secs(1000));
    let outcome = Outcome::Busy { wait };
    let failed =
        Failed { lane: LaneId(1), outcome: &outcome, began: Mono::ZERO, asked: wait, capacity: None, jitter: 0.0 };
    assert!(breaker.failed(&failed, now(0)), "it asks for a long wait");
    assert_eq!(breaker.early_probe_not_of(now(500).mono), None);
    assert_eq!(breaker.probe_at(), Some(now(1000).mono));
}

#[test]
fn a_long_wait_that_one_delivery_is_asked_for_while_others_are_accepted_does_not_open_it() {
    let wait = Some(Duration::from_secs(60_000));
    let outcome = Outcome::Busy { wait };
    for (accepted, opens) in [(9, true), (10, false), (11, false)] {
        let mut breaker = Breaker::default();
        breaker.succeeded(now(accepted).mono);
        let began = now(10).mono;
        let failed = Failed { lane: LaneId(1), outcome: &outcome, began, asked: wait, capacity: None, jitter: 0.0 };
        assert_eq!(breaker.failed(&failed, now(12)), opens, "{accepted}");
    }
}

#[test]
fn a_lane_that_did_not_fail_is_probed_early_until_three_have_failed() {
    let mut breaker = Breaker::default();
    for seconds in 0..3 {
        fail(&mut breaker, 1, TIMEOUT, seconds);
    }
    assert_eq!(breaker.early_probe_not_of(now(6).mono), None, "probes are at least five seconds apart");
    assert_eq!(breaker.early_probe_not_of(now(7).mono), Some(vec![LaneId(1)]));
    fail(&mut breaker, 2, TIMEOUT, 7);
    fail(&mut breaker, 3, TIMEOUT, 12);
    assert_eq!(breaker.early_probe_not_of(now(17).mono), None);
}

#[test]
fn the_stored_state_is_taken_over_and_a_clock_that_jumped_does_not_delay_the_probe() {
    let mut breaker = Breaker::default();
    let stored = StoredBreaker::Open { since: now(0).wall, probes: 9, probe_at: now(1_000_000).wall };
    assert!(breaker.adopt(stored, now(10)));
    assert_eq!(breaker.probe_at(), Some(now(610).mono));
    assert!(!breaker.adopt(stored, now(20)), "the state is the same");
    breaker.succeeded(Mono::ZERO);
    assert!(!breaker.adopt(stored, now(30)), "a state that is not stored yet is newer");
}
