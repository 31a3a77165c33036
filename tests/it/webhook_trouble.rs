//! An endpoint in trouble as a whole: one delivery at a time finds out when that is over, all others keep their attempts,
//! and afterwards what has gathered goes out at a set rate. Nothing here waits: the time is a made-up one.

use std::collections::BTreeMap;
use std::time::Duration;

use meetwatch::backoff::Random;
use meetwatch::clock::{Mono, Now};
use meetwatch::delivery::step::{Core, Endpoint, Input, Sent};
use meetwatch::delivery::{Outcome, Policy, Reason};
use meetwatch::model::EndpointName;
use meetwatch::store::{Claimed, Db, DeliveryFilter, DeliveryId, DeliveryState, StoredBreaker};

use crate::store_samples::*;
use crate::webhook_steps::{Parts, Stage};

const HOUR: u64 = 3600;

/// A dispatcher with one endpoint, `ops`, and how that answers.
struct Play {
    now: Now,
    db: Db,
    core: Core,
    sending: BTreeMap<(Mono, DeliveryId), (EndpointName, Claimed)>,
    wake_at: Option<Mono>,
    answer: fn(&Claimed, Mono) -> Outcome,
    /// When each attempt ended, of which event, and how.
    attempts: Vec<(u64, String, bool)>,
}

fn core(ordered: bool) -> Core {
    let max_hold = Duration::from_secs(HOUR);
    let endpoint = Endpoint {
        name: endpoint("ops"),
        policy: Policy { max_hold, ..Policy::new(Duration::from_secs(72 * HOUR)) },
        timeout: Duration::from_secs(15),
        concurrency: 4,
        ordered,
        batched: false,
        drain_per_second: 2.0,
    };
    Core::new([endpoint], Random::with_seed(3))
}

fn refused() -> Outcome {
    Outcome::Failed { reason: Reason::Connect, status: None }
}

fn ok() -> Outcome {
    Outcome::Answered { status: 200, retry_after: None }
}

impl Play {
    fn begin(answer: fn(&Claimed, Mono) -> Outcome) -> Self {
        Self {
            now: Now { mono: Mono::ZERO, wall: noon() },
            db: Db::in_memory(noon()).unwrap(),
            core: core(true),
            sending: BTreeMap::new(),
            wake_at: Some(Mono::ZERO),
            answer,
            attempts: Vec::new(),
        }
    }

    fn commit(&mut self, conference: &str, sequences: std::ops::RangeInclusive<u64>) {
        let commit = joins(conference, sequences, &["ops"]);
        self.db.write(commit, self.now.wall).unwrap();
        self.step(Input::Woken);
    }

    /// Lets time pass until then.
    fn run_to(&mut self, seconds: u64) {
        let end = Duration::from_secs(seconds);
        loop {
            let ends = self.sending.keys().next().map(|(ends, _)| *ends);
            let next = ends.into_iter().chain(self.wake_at).min().unwrap_or(end).max(self.now.mono);
            if next > end {
                self.now = self.now.after(end - self.now.mono);
                return;
            }
            self.now = self.now.after(next - self.now.mono);
            if ends.is_some_and(|ends| ends <= next) { self.end_attempt() } else { self.step(Input::Tick) }
        }
    }

    fn end_attempt(&mut self) {
        let ((_, delivery), (endpoint, claimed)) = self.sending.pop_first().unwrap();
        let outcome = (self.answer)(&claimed, self.now.mono);
        let what = format!("{}{}", &claimed.conference.as_ref().unwrap().as_str()[18..], &claimed.body[22..24]);
        self.attempts.push((self.now.mono.as_secs(), what, outcome.reason().is_none()));
        let (began_at, took) = (self.now.wall, Duration::from_millis(10));
        self.step(Input::Sent(Sent { endpoint, delivery, began_at, took, reply: outcome.into() }));
    }

    /// The process dies, and another takes its place.
    fn restart(&mut self) {
        self.core = core(true);
        let given_back = std::mem::take(&mut self.sending);
        assert!(given_back.is_empty(), "the leases of a database in memory are not made void");
        self.step(Input::Tick);
    }

    fn breaker(&self) -> StoredBreaker {
        self.db.outbox_summary().unwrap()[0].breaker
    }

    fn states(&self) -> Vec<DeliveryState> {
        let filter = DeliveryFilter { limit: 1000, ..DeliveryFilter::default() };
        self.db.list_deliveries(&filter).unwrap().deliveries.into_iter().map(|row| row.state).collect()
    }
}

impl Stage for Play {
    fn parts(&mut self) -> Parts<'_> {
        Parts { core: &mut self.core, db: &mut self.db, now: self.now, wake_at: &mut self.wake_at }
    }

    fn begin_attempt(&mut self, endpoint: EndpointName, claimed: Claimed) {
        let ends = self.now.mono + Duration::from_millis(10);
        self.sending.insert((ends, claimed.delivery), (endpoint, claimed));
    }
}

/// Down for six hours.
fn down_for_long(_: &Claimed, now: Mono) -> Outcome {
    if now < Duration::from_secs(6 * HOUR) { refused() } else { ok() }
}

#[test]
fn an_outage_costs_one_probe_at_a_time_and_ends_in_a_calm_drain() {
    let mut play = Play::begin(down_for_long);
    for conference in 0..20 {
        play.commit(&format!("c{conference}"), 1..=2);
    }
    play.run_to(6 * HOUR);
    assert!(matches!(play.breaker(), StoredBreaker::Open { .. }));
    // A few until it is known, four at a time, then 5, 10, 20 … 600 seconds apart.
    let probes: Vec<_> = play.attempts.iter().map(|(at, ..)| *at).filter(|at| *at > 0).collect();
    assert!(play.attempts.len() - probes.len() <= 6 && (5..=7).contains(&probes[0]), "{probes:?}");
    assert!((38..=50).contains(&probes.len()), "{probes:?}");
    assert!(probes.windows(2).all(|pair| (5..=601).contains(&(pair[1] - pair[0]))), "{probes:?}");

    let before = play.attempts.len();
    play.run_to(6 * HOUR + 700);
    let after = &play.attempts[before..];
    assert!(after.iter().all(|(_, _, arrived)| *arrived) && after.len() == 40, "{after:?}");
    let took = after[39].0 - after[0].0;
    assert!((17..=22).contains(&took), "40 at 2 a second took {took} s");
    assert_eq!(play.breaker(), StoredBreaker::Closed);
    assert!(
        play.states().iter().all(|state| *state == DeliveryState::Done),
        "nobody was held responsible for holding others"
    );
}

#[test]
fn a_restart_in_the_middle_of_an_outage_begins_no_burst() {
    let mut play = Play::begin(down_for_long);
    for conference in 0..20 {
        play.commit(&format!("c{conference}"), 1..=1);
    }
    play.run_to(HOUR);
    for minutes in 1..=20 {
        let before = play.attempts.len();
        play.restart();
        play.run_to(HOUR + 30 * minutes);
        assert!(play.attempts.len() <= before + 1, "{:?}", &play.attempts[before..]);
    }
    play.run_to(7 * HOUR);
    assert!(play.states().iter().all(|state| *state == DeliveryState::Done));
}

/// Times out for one conference, answers at once for all others.
fn stuck_on_one(claimed: &Claimed, _: Mono) -> Outcome {
    let stuck = claimed.conference == Some(conference("stuck"));
    if stuck { Outcome::Failed { reason: Reason::Timeout, status: None } } else { ok() }
}

#[test]
fn one_conferences_stuck_delivery_holds_no_other_back_for_long() {
    let mut play = Play::begin(stuck_on_one);
    play.commit("stuck", 1..=1);
    play.run_to(3 * HOUR);
    assert!(matches!(play.breaker(), StoredBreaker::Open { .. }), "for all that is known it may be the endpoint");
    for conference in 0..10 {
        let at = 3 * HOUR + 100 * conference;
        play.run_to(at);
        play.commit(&format!("c{conference}"), 1..=1);
        play.run_to(at + 10);
        let last = play.attempts.iter().rfind(|(_, _, arrived)| *arrived).unwrap();
        assert!(last.0 <= at + 6 && last.1.starts_with(&format!("c{conference}")), "{last:?} for {at}");
    }
}

/// Fails by status for one conference, and takes all others.
fn poisoned_by_one(claimed: &Claimed, _: Mono) -> Outcome {
    let status = if claimed.conference == Some(conference("stuck")) { 500 } else { 200 };
    Outcome::Answered { status, retry_after: None }
}

#[test]
fn a_delivery_that_the_endpoint_cannot_digest_is_given_up_when_it_held_others_for_too_long() {
    let mut play = Play::begin(poisoned_by_one);
    play.commit("stuck", 1..=2);
    play.commit("c", 1..=1);
    play.run_to(2 * HOUR);
    assert_eq!(play.breaker(), StoredBreaker::Closed);
    assert_eq!(play.states(), [DeliveryState::Done, DeliveryState::Pending, DeliveryState::Dead]);
}

#[test]
fn without_order_nothing_waits_for_another() {
    let mut play = Play::begin(|claimed, _| {
        let first = claimed.body.ends_with(":1}");
        Outcome::Answered { status: if first { 500 } else { 200 }, retry_after: None }
    });
    let config = meetwatch::store::EndpointConfig {
        name: endpoint("ops"),
        ordered: false,
        settle: Duration::ZERO,
        max_age: None,
        batching: None,
    };
    play.db.write(meetwatch::store::AdminRequest::Configure(vec![config]), noon()).unwrap();
    play.core = core(false);
    play.commit("c", 1..=9);
    play.run_to(3);
    let arrived = play.attempts.iter().filter(|(_, _, arrived)| *arrived).count();
    assert_eq!((arrived, play.attempts.len()), (8, 9));
}

#[test]
fn an_endpoint_in_trouble_that_is_owed_nothing_is_left_alone() {
    let mut play = Play::begin(down_for_long);
    play.commit("c", 1..=1);
    play.run_to(HOUR);
    // The operator takes the only one away.
    let skip = meetwatch::store::AdminRequest::Skip(vec![DeliveryId(1)]);
    assert_eq!(play.db.write(skip, play.now.wall).unwrap(), 1);
    let before = play.attempts.len();
    play.run_to(7 * HOUR);
    assert_eq!(play.attempts.len(), before);
    play.commit("d", 1..=1);
    play.run_to(7 * HOUR + 1);
    assert_eq!(play.states()[0], DeliveryState::Done);
}
