//! The breaker of an endpoint, in virtual time: while it is open, one delivery at a time probes the endpoint and all others
//! keep their attempts; afterwards the backlog drains at a limited rate.

use std::collections::BTreeMap;
use std::time::Duration;

use meetwatch::backoff::Random;
use meetwatch::clock::{Mono, Now};
use meetwatch::delivery::http::answer;
use meetwatch::delivery::report::{EndpointReport, FinishedAttempt};
use meetwatch::delivery::step::{Core, DispatchInput};
use meetwatch::delivery::{Endpoint, Outcome, Policy, Reply, TransportFailure};
use meetwatch::model::EndpointName;
use meetwatch::store::{Claimed, Db, DeliveryFilter, DeliveryId, DeliveryState, StoredBreaker};

use crate::delivery_harness::{Parts, Stage};
use crate::store_samples::*;

const HOUR: u64 = 3600;

/// What the endpoint replies to a delivery, and when.
type Answer = Box<dyn FnMut(&Claimed, Mono) -> Reply>;

/// A dispatcher with one endpoint, `ops`, and how the endpoint answers.
pub(crate) struct Simulation {
    pub(crate) now: Now,
    db: Db,
    core: Core,
    sending: BTreeMap<(Mono, DeliveryId), (EndpointName, Claimed)>,
    wake_at: Option<Mono>,
    answer: Answer,
    /// The end of each attempt, in seconds, its event, and whether it was accepted.
    pub(crate) attempts: Vec<(u64, String, bool)>,
    /// What was told of the endpoint.
    pub(crate) told: Vec<EndpointReport>,
}

fn core(ordered: bool) -> Core {
    Core::new([ops(ordered)], Random::with_seed(3))
}

/// The endpoint.
pub(crate) fn ops(ordered: bool) -> Endpoint {
    let max_hold = Duration::from_secs(HOUR);
    Endpoint {
        name: endpoint("ops"),
        policy: Policy { max_hold, ..Policy::new(Duration::from_secs(72 * HOUR)) },
        timeout: Duration::from_secs(15),
        concurrency: 4,
        ordered,
        batched: false,
        rate: None,
        drain_per_second: 2.0,
    }
}

fn unreachable() -> Reply {
    Outcome::TransportFailed(TransportFailure::Connect).into()
}

fn ok() -> Reply {
    answer::reply(200, None)
}

impl Simulation {
    fn begin(answer: impl FnMut(&Claimed, Mono) -> Reply + 'static) -> Self {
        Self::of(ops(true), answer)
    }

    pub(crate) fn of(endpoint: Endpoint, answer: impl FnMut(&Claimed, Mono) -> Reply + 'static) -> Self {
        Self {
            now: Now { mono: Mono::ZERO, wall: noon() },
            db: Db::in_memory(noon()).unwrap(),
            core: Core::new([endpoint], Random::with_seed(3)),
            sending: BTreeMap::new(),
            wake_at: Some(Mono::ZERO),
            answer: Box::new(answer),
            attempts: Vec::new(),
            told: Vec::new(),
        }
    }

    pub(crate) fn commit(&mut self, conference: &str, sequences: std::ops::RangeInclusive<u64>) {
        let commit = joins(conference, sequences, &["ops"]);
        self.db.write(commit, self.now.wall).unwrap();
        self.step(DispatchInput::Woken);
    }

    /// Advances the time to this second.
    pub(crate) fn run_to(&mut self, seconds: u64) {
        let end = Duration::from_secs(seconds);
        loop {
            let ends = self.sending.keys().next().map(|(ends, _)| *ends);
            let next = ends.into_iter().chain(self.wake_at).min().unwrap_or(end).max(self.now.mono);
            if next > end {
                self.now = self.now.after(end - self.now.mono);
                return;
            }
            self.now = self.now.after(next - self.now.mono);
            if ends.is_some_and(|ends| ends <= next) { self.end_attempt() } else { self.step(DispatchInput::Tick) }
        }
    }

    fn end_attempt(&mut self) {
        let ((_, delivery), (endpoint, claimed)) = self.sending.pop_first().unwrap();
        let reply = (self.answer)(&claimed, self.now.mono);
        let what = format!("{}{}", &claimed.conference.as_ref().unwrap().as_str()[18..], &claimed.body[22..24]);
        self.attempts.push((self.now.mono.as_secs(), what, reply.outcome == Outcome::Accepted));
        let (began_at, took) = (self.now.wall, Duration::from_millis(10));
        self.step(DispatchInput::Finished(FinishedAttempt { endpoint, delivery, began_at, took, reply }));
    }

    /// Kills the process and starts another.
    fn restart(&mut self) {
        self.core = core(true);
        let in_flight = std::mem::take(&mut self.sending);
        assert!(in_flight.is_empty(), "no attempt may be in flight, because a database in memory keeps its leases");
        self.step(DispatchInput::Tick);
    }

    pub(crate) fn breaker(&self) -> StoredBreaker {
        self.db.outbox_summary().unwrap()[0].breaker
    }

    pub(crate) fn states(&self) -> Vec<DeliveryState> {
        let filter = DeliveryFilter { limit: 1000, ..DeliveryFilter::default() };
        self.db.list_deliveries(&filter).unwrap().deliveries.into_iter().map(|row| row.state).collect()
    }
}

impl Stage for Simulation {
    fn parts(&mut self) -> Parts<'_> {
        Parts { core: &mut self.core, db: &mut self.db, now: self.now, wake_at: &mut self.wake_at }
    }

    fn reported(&mut self, report: EndpointReport) {
        self.told.push(report);
    }

    fn begin_attempt(&mut self, endpoint: EndpointName, claimed: Claimed) {
        let ends = self.now.mono + Duration::from_millis(10);
        self.sending.insert((ends, claimed.delivery), (endpoint, claimed));
    }
}

/// Down for six hours.
fn down_for_long(_: &Claimed, now: Mono) -> Reply {
    if now < Duration::from_secs(6 * HOUR) { unreachable() } else { ok() }
}

#[test]
fn in_an_outage_one_probe_is_sent_at_a_time_and_afterwards_the_backlog_drains_at_its_rate() {
    let mut simulation = Simulation::begin(down_for_long);
    for conference in 0..20 {
        simulation.commit(&format!("c{conference}"), 1..=2);
    }
    simulation.run_to(6 * HOUR);
    assert!(matches!(simulation.breaker(), StoredBreaker::Open { .. }));
    // A few attempts until the breaker opens, four at a time, then probes 5, 10, 20 … 600 seconds apart.
    let probes: Vec<_> = simulation.attempts.iter().map(|(at, ..)| *at).filter(|at| *at > 0).collect();
    assert!(simulation.attempts.len() - probes.len() <= 6 && (5..=7).contains(&probes[0]), "{probes:?}");
    assert!((38..=50).contains(&probes.len()), "{probes:?}");
    assert!(probes.windows(2).all(|pair| (5..=601).contains(&(pair[1] - pair[0]))), "{probes:?}");

    let before = simulation.attempts.len();
    simulation.run_to(6 * HOUR + 700);
    let after = &simulation.attempts[before..];
    assert!(after.iter().all(|(_, _, arrived)| *arrived) && after.len() == 40, "{after:?}");
    let took = after[39].0 - after[0].0;
    assert!((17..=22).contains(&took), "40 at 2 a second took {took} s");
    assert_eq!(simulation.breaker(), StoredBreaker::Closed);
    assert!(
        simulation.states().iter().all(|state| *state == DeliveryState::Done),
        "no delivery was given up for holding others back"
    );
}

#[test]
fn a_restart_during_an_outage_causes_no_burst() {
    let mut simulation = Simulation::begin(down_for_long);
    for conference in 0..20 {
        simulation.commit(&format!("c{conference}"), 1..=1);
    }
    simulation.run_to(HOUR);
    for minutes in 1..=20 {
        let before = simulation.attempts.len();
        simulation.restart();
        simulation.run_to(HOUR + 30 * minutes);
        assert!(simulation.attempts.len() <= before + 1, "{:?}", &simulation.attempts[before..]);
    }
    simulation.run_to(7 * HOUR);
    assert!(simulation.states().iter().all(|state| *state == DeliveryState::Done));
}

/// Times out for one conference and accepts all others.
fn stuck_on_one(claimed: &Claimed, _: Mono) -> Reply {
    let stuck = claimed.conference == Some(conference("stuck"));
    if stuck { Outcome::TransportFailed(TransportFailure::Timeout).into() } else { ok() }
}

#[test]
fn a_conference_whose_delivery_times_out_does_not_hold_others_back_for_long() {
    let mut simulation = Simulation::begin(stuck_on_one);
    simulation.commit("stuck", 1..=1);
    simulation.run_to(3 * HOUR);
    assert!(
        matches!(simulation.breaker(), StoredBreaker::Open { .. }),
        "no other conference has shown that the endpoint works"
    );
    for conference in 0..10 {
        let at = 3 * HOUR + 100 * conference;
        simulation.run_to(at);
        simulation.commit(&format!("c{conference}"), 1..=1);
        simulation.run_to(at + 10);
        let last = simulation.attempts.iter().rfind(|(_, _, arrived)| *arrived).unwrap();
        assert!(last.0 <= at + 6 && last.1.starts_with(&format!("c{conference}")), "{last:?} for {at}");
    }
}

/// Answers 500 for one conference and accepts all others.
fn poisoned_by_one(claimed: &Claimed, _: Mono) -> Reply {
    let status = if claimed.conference == Some(conference("stuck")) { 500 } else { 200 };
    answer::reply(status, None)
}

#[test]
fn a_delivery_that_keeps_failing_is_given_up_when_it_has_held_others_back_for_max_hold() {
    let mut simulation = Simulation::begin(poisoned_by_one);
    simulation.commit("stuck", 1..=2);
    // Other conferences show all the time that the endpoint is well.
    for minute in 0..119 {
        simulation.commit(&format!("c{minute}"), 1..=1);
        simulation.run_to(60 * (minute + 1));
    }
    assert_eq!(simulation.breaker(), StoredBreaker::Closed);
    let states = simulation.states();
    assert_eq!(states[states.len() - 2..], [DeliveryState::Pending, DeliveryState::Dead]);
    assert!(states[..states.len() - 2].iter().all(|state| *state == DeliveryState::Done));
    let of_the_first = simulation.attempts.iter().filter(|(_, what, _)| what.starts_with("stuck:1")).count();
    // The first five show that it is the delivery, although others are accepted.
    assert!((9..=14).contains(&of_the_first), "it follows its own schedule: {of_the_first} attempts");
}

#[test]
fn a_delivery_that_is_refused_for_hours_while_others_are_accepted_is_given_up_after_max_hold() {
    for status in [429, 503] {
        let mut simulation = Simulation::begin(move |claimed, _| {
            let is_stuck = claimed.conference == Some(conference("stuck"));
            answer::reply(if is_stuck { status } else { 200 }, None)
        });
        simulation.commit("stuck", 1..=2);
        for number in 0..560 {
            simulation.commit(&format!("c{number}"), 1..=1);
            simulation.run_to(15 * (number + 1));
        }
        let states = simulation.states();
        let dead = states.iter().filter(|state| **state == DeliveryState::Dead).count();
        let arrived = states.iter().filter(|state| **state == DeliveryState::Done).count();
        assert_eq!((dead, arrived, states.len()), (1, 560, 562), "{status}: nobody waits behind the second");
    }
}

#[test]
fn without_order_no_delivery_waits_for_another() {
    let mut simulation = Simulation::begin(|claimed, _| {
        let first = claimed.body.ends_with(":1}");
        answer::reply(if first { 500 } else { 200 }, None)
    });
    let config = meetwatch::store::EndpointConfig {
        name: endpoint("ops"),
        ordered: false,
        settle: Duration::ZERO,
        max_age: None,
        batching: None,
    };
    simulation.db.write(meetwatch::store::AdminRequest::Configure(vec![config]), noon()).unwrap();
    simulation.core = core(false);
    simulation.commit("c", 1..=9);
    simulation.run_to(3);
    let arrived = simulation.attempts.iter().filter(|(_, _, arrived)| *arrived).count();
    assert_eq!(
        (arrived, simulation.attempts.len()),
        (8, 10),
        "the failing one is tried again at once, and then later, because the endpoint is well"
    );
}

#[test]
fn an_endpoint_without_pending_deliveries_is_not_probed() {
    let mut simulation = Simulation::begin(down_for_long);
    simulation.commit("c", 1..=1);
    simulation.run_to(HOUR);
    // The operator skips the only delivery.
    let skip = meetwatch::store::AdminRequest::Skip(vec![DeliveryId(1)]);
    assert_eq!(simulation.db.write(skip, simulation.now.wall).unwrap(), 1);
    let before = simulation.attempts.len();
    simulation.run_to(7 * HOUR);
    assert_eq!(simulation.attempts.len(), before);
    simulation.commit("d", 1..=1);
    simulation.run_to(7 * HOUR + 1);
    assert_eq!(simulation.states()[0], DeliveryState::Done);
}
