//! The pace of an endpoint, in virtual time: a receiver that takes little gets its backlog as fast as it takes it, and the
//! endpoint's trouble is told once and costs no delivery anything.

use std::time::Duration;

use meetwatch::clock::Mono;
use meetwatch::delivery::http::answer;
use meetwatch::delivery::report::EndpointReport;
use meetwatch::delivery::{Endpoint, EndpointSettings, Policy, Reply};
use meetwatch::store::{Claimed, DeliveryState, StoredBreaker};

use crate::delivery_breaker::{Simulation, ops};
use crate::store_samples::endpoint;

/// An endpoint with the default settings and this concurrency.
fn plain(concurrency: u32) -> Endpoint {
    let policy = Policy::new(Duration::from_secs(72 * 3600));
    Endpoint { concurrency, policy, drain_per_second: 50.0, ..ops(true) }
}

/// Takes one delivery a second, and answers all others with this status.
fn one_a_second(status: u16, retry_after: Option<u64>) -> impl FnMut(&Claimed, Mono) -> Reply {
    let (mut tokens, mut counted_to) = (1.0_f64, Mono::ZERO);
    move |_, now| {
        tokens = (tokens + (now - counted_to).as_secs_f64()).min(1.0);
        counted_to = now;
        if tokens < 1.0 - 1e-9 {
            return answer::reply(status, retry_after.map(Duration::from_secs));
        }
        tokens -= 1.0;
        answer::reply(200, None)
    }
}

/// Commits so many events of so many conferences.
fn commit(simulation: &mut Simulation, conferences: u64, events: u64) {
    for conference in 0..conferences {
        simulation.commit(&format!("c{conference}"), 1..=events);
    }
}

fn done(simulation: &Simulation) -> usize {
    simulation.states().iter().filter(|state| **state == DeliveryState::Done).count()
}

#[test]
fn d1_a_chat_that_takes_one_message_a_second_gets_66_in_80_seconds_and_one_trouble_is_told() {
    for concurrency in [1, 8] {
        let mut simulation = Simulation::of(plain(concurrency), one_a_second(429, None));
        commit(&mut simulation, 6, 11);
        simulation.run_to(80);
        assert_eq!(done(&simulation), 66);
        assert_eq!(simulation.breaker(), StoredBreaker::Closed);
        assert!(
            matches!(simulation.told[..], [EndpointReport::Limited { per_second: Some(rate), .. }] if rate < 3.0),
            "{:?}",
            simulation.told
        );
    }
}

#[test]
fn d2_a_receiver_that_answers_503_to_more_than_one_a_second_is_sent_what_it_takes() {
    let mut simulation = Simulation::of(plain(8), one_a_second(503, None));
    commit(&mut simulation, 9, 14);
    simulation.run_to(145);
    assert_eq!(done(&simulation), 126);
    assert_eq!((simulation.breaker(), simulation.told.len()), (StoredBreaker::Closed, 1), "{:?}", simulation.told);
}

#[test]
fn d1_and_d2_hold_whatever_the_receiver_answers_to_more_than_it_takes() {
    let failed = |failure| meetwatch::delivery::Outcome::TransportFailed(failure).into();
    let answers: [Reply; 6] = [
        answer::reply(500, None),
        answer::reply(502, None),
        answer::reply(504, None),
        meetwatch::delivery::Outcome::BodyFailed.into(),
        failed(meetwatch::delivery::TransportFailure::Timeout),
        failed(meetwatch::delivery::TransportFailure::Interrupted),
    ];
    for refusal in answers {
        for (concurrency, conferences, events) in [(1, 6, 11), (8, 6, 11), (8, 9, 14)] {
            let mut takes = one_a_second(500, None);
            let given = refusal.clone();
            let mut simulation = Simulation::of(plain(concurrency), move |claimed, now| {
                let reply = takes(claimed, now);
                if reply.status == Some(200) { reply } else { given.clone() }
            });
            commit(&mut simulation, conferences, events);
            let all = conferences * events;
            simulation.run_to(all * 115 / 100 + 10);
            let (done, told) = (done(&simulation), &simulation.told);
            assert_eq!(done, usize::try_from(all).unwrap(), "{:?}, {concurrency}: {told:?}", refusal.outcome);
            assert_eq!((simulation.breaker(), told.len()), (StoredBreaker::Closed, 1), "{told:?}");
        }
    }
}

#[test]
fn one_long_wait_that_is_asked_for_while_others_are_accepted_stops_the_endpoint_for_ten_minutes_at_most() {
    let mut answers = 0;
    let mut simulation = Simulation::of(plain(8), move |_, _| {
        answers += 1;
        answer::reply(if answers == 15 { 429 } else { 200 }, Some(Duration::from_secs(60_000)))
    });
    for second in 0..60 {
        for conference in 0..10 {
            simulation.commit(&format!("c{second}x{conference}"), 1..=1);
        }
        simulation.run_to(second + 1);
    }
    simulation.run_to(700);
    assert_eq!(done(&simulation), simulation.states().len());
}

#[test]
fn d3_nothing_dies_of_a_redeployment_that_answers_404_and_the_first_success_makes_all_due() {
    let mut simulation = Simulation::of(plain(8), |_, now| {
        let redeployed = (60..660).contains(&now.as_secs());
        answer::reply(if redeployed { 404 } else { 200 }, None)
    });
    commit(&mut simulation, 1, 1);
    simulation.run_to(61);
    for conference in 1..17 {
        simulation.commit(&format!("c{conference}"), 1..=3);
    }
    simulation.run_to(660);
    assert!(matches!(simulation.breaker(), StoredBreaker::Open { .. }));
    assert_eq!((done(&simulation), simulation.states().len()), (1, 49), "{:?}", simulation.states());
    let before = simulation.attempts.len();
    assert!(before < 60, "the receiver is not hammered: {before} attempts");
    simulation.run_to(660 + 390);
    let first = simulation.attempts[before].0;
    assert!(simulation.attempts[before..].iter().all(|(at, _, arrived)| *arrived && *at <= first + 2));
    assert_eq!((done(&simulation), simulation.breaker()), (49, StoredBreaker::Closed));
    assert_eq!(simulation.told.len(), 2, "trouble, and its end: {:?}", simulation.told);
}

#[test]
fn d3_two_conferences_that_are_not_found_are_given_up_as_before() {
    let mut simulation = Simulation::of(plain(8), |_, _| answer::reply(404, None));
    commit(&mut simulation, 2, 1);
    simulation.run_to(700);
    assert_eq!(simulation.states(), [DeliveryState::Dead; 2]);
}

#[test]
fn d4_a_retry_after_of_one_second_is_one_second() {
    let mut simulation = Simulation::of(plain(1), one_a_second(429, Some(1)));
    commit(&mut simulation, 6, 10);
    simulation.run_to(69);
    assert_eq!(done(&simulation), 60);
}

#[test]
fn d5_a_chat_that_asks_for_half_an_hour_gets_its_message_in_three_minutes() {
    let format = meetwatch::delivery::format::by_name("slack").unwrap();
    let settings = EndpointSettings {
        format: (format.build)(meetwatch::delivery::FormatOptions::default()).unwrap(),
        ..EndpointSettings::new(endpoint("ops"), "https://example.com/".parse().unwrap())
    };
    let policy = Policy::of(&settings);
    let mut asked = false;
    let mut simulation = Simulation::of(Endpoint { policy, ..plain(1) }, move |_, _| {
        let status = if std::mem::replace(&mut asked, true) { 200 } else { 429 };
        answer::reply(status, Some(Duration::from_secs(1640)))
    });
    commit(&mut simulation, 1, 1);
    simulation.run_to(179);
    assert_eq!(simulation.attempts.len(), 1);
    simulation.run_to(181);
    assert_eq!(done(&simulation), 1);
}

#[test]
fn a_configured_rate_is_kept_and_nothing_is_refused() {
    let mut simulation = Simulation::of(Endpoint { rate: Some(1.0), ..plain(8) }, one_a_second(429, None));
    commit(&mut simulation, 6, 10);
    simulation.run_to(62);
    assert_eq!((done(&simulation), simulation.told.len()), (60, 0));
    assert!(simulation.attempts.len() <= 62, "{}", simulation.attempts.len());
}

#[test]
fn an_endpoint_that_is_unavailable_for_two_days_loses_nothing() {
    let mut simulation = Simulation::of(plain(8), |_, now| {
        answer::reply(if now < Duration::from_secs(48 * 3600) { 503 } else { 200 }, None)
    });
    commit(&mut simulation, 5, 4);
    simulation.run_to(48 * 3600 + 800);
    assert_eq!((done(&simulation), simulation.told.len()), (20, 2), "{:?}", simulation.told);
}
