//! Whole histories of the outbox without sockets or waiting: people come and go, receivers fail at random, alone and as a
//! whole, the process is killed at random. In the end everybody has at least once what the filters promise, less what is
//! recorded as settled, expired or dead; each conference in order; and whoever settles has the same picture as the others.

mod happenings;
mod reckoning;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use meetwatch::backoff::Random;
use meetwatch::clock::{Mono, Now};
use meetwatch::delivery::step::{Core, Endpoint, Input, Sent};
use meetwatch::delivery::{Outcome, Policy, Reason};
use meetwatch::model::{EndpointName, EventId, EventType};
use meetwatch::store::{AdminRequest, Batching, Claimed, Db, DeliveryId, EndpointConfig};

use crate::store_samples::{endpoint, noon};
use crate::webhook_steps::{Parts, Stage};

const CONFERENCES: usize = 4;
const PEOPLE: usize = 3;
/// How often something happens.
const HAPPENINGS: usize = 60;
const CONCURRENCY: usize = 3;
const HOUR: Duration = Duration::from_secs(3600);

/// An endpoint of the history.
struct Kind {
    name: &'static str,
    wants: fn(EventType) -> bool,
    ordered: bool,
    settle: Duration,
    max_age: Option<Duration>,
    /// What it takes together; every other process knows nothing of that.
    batching: Option<Batching>,
}

const fn of(max_events: u32, seconds: u64) -> Option<Batching> {
    Some(Batching { max_events, max_wait: Duration::from_secs(seconds) })
}

fn is_of_people(event: EventType) -> bool {
    matches!(event, EventType::ParticipantJoined | EventType::ParticipantLeft)
}

const PLAIN: Kind =
    Kind { name: "raw", wants: |_| true, ordered: true, settle: Duration::ZERO, max_age: None, batching: None };

const ENDPOINTS: [Kind; 8] = [
    PLAIN,
    Kind { name: "calm", settle: Duration::from_secs(60), ..PLAIN },
    Kind { name: "people", wants: is_of_people, settle: Duration::from_secs(20), max_age: Some(HOUR), ..PLAIN },
    Kind {
        name: "leaves",
        wants: |event| event == EventType::ParticipantLeft,
        settle: Duration::from_secs(60),
        ..PLAIN
    },
    Kind { name: "loose", ordered: false, settle: Duration::from_secs(30), ..PLAIN },
    Kind { name: "heaps", batching: of(4, 20), ..PLAIN },
    Kind { name: "calm-heaps", settle: Duration::from_secs(60), batching: of(5, 30), ..PLAIN },
    Kind { name: "young-heaps", max_age: Some(HOUR), batching: of(100, 600), ..PLAIN },
];

fn kind(endpoint: &EndpointName) -> &'static Kind {
    ENDPOINTS.iter().find(|kind| kind.name == endpoint.as_str()).unwrap()
}

/// One event as it was told.
#[derive(Clone)]
struct Told {
    id: EventId,
    event: EventType,
    conference: usize,
    person: usize,
    sequence: u64,
    time: i64,
    takes_back: Option<EventId>,
    promised: BTreeSet<&'static str>,
}

/// What one person did: a leave and a return each, and whether they are there.
#[derive(Clone, Default)]
struct Person {
    /// The last standing edge; a leave if `present` is false.
    last: Option<EventId>,
    present: bool,
    /// The last leave and return that both stand, and when.
    bridge: Option<((EventId, i64), (EventId, i64))>,
}

/// One event, and what was named as the one before; for what came behind another in a batch nothing is.
type Taken = (EventId, Option<Option<EventId>>);

struct History {
    random: Random,
    now: Now,
    db: Db,
    core: Core,
    /// When each attempt ends, and what it is.
    sending: BTreeMap<(Mono, DeliveryId), (EndpointName, Claimed)>,
    wake_at: Option<Mono>,
    /// What each endpoint took, in the order of arrival.
    taken: BTreeMap<EndpointName, Vec<Taken>>,
    /// What was sent in each batch.
    batches: BTreeMap<DeliveryId, Vec<EventId>>,
    /// How many batches had more than one event.
    heaps: usize,
    /// The process knows of batches.
    batching: bool,
    told: Vec<Told>,
    people: Vec<Vec<Person>>,
    /// Until when an endpoint does not answer at all.
    down: BTreeMap<EndpointName, Mono>,
    happened: usize,
    failing: bool,
}

fn core(seed: u64) -> Core {
    let endpoints = ENDPOINTS.iter().map(|kind| Endpoint {
        name: endpoint(kind.name),
        policy: Policy::new(72 * HOUR),
        timeout: Duration::from_secs(15),
        concurrency: CONCURRENCY,
        ordered: kind.ordered,
        batched: kind.batching.is_some(),
        drain_per_second: 5.0,
    });
    Core::new(endpoints, Random::with_seed(seed))
}

fn configure(db: &mut Db, now: Now, batching: bool) {
    let configs = ENDPOINTS.iter().map(|kind| EndpointConfig {
        name: endpoint(kind.name),
        ordered: kind.ordered,
        settle: kind.settle,
        max_age: kind.max_age,
        batching: kind.batching.filter(|_| batching),
    });
    db.write(AdminRequest::Configure(configs.collect()), now.wall).unwrap();
}

impl History {
    fn begin(path: &Path, seed: u64) -> Self {
        let now = Now { mono: Mono::ZERO, wall: noon() };
        let mut db = Db::open(path, noon()).unwrap();
        configure(&mut db, now, true);
        Self {
            random: Random::with_seed(seed),
            now,
            db,
            core: core(seed),
            sending: BTreeMap::new(),
            wake_at: Some(Mono::ZERO),
            taken: BTreeMap::new(),
            batches: BTreeMap::new(),
            heaps: 0,
            batching: true,
            told: Vec::new(),
            people: vec![vec![Person::default(); PEOPLE]; CONFERENCES],
            down: BTreeMap::new(),
            happened: 0,
            failing: true,
        }
    }

    fn outcome(&mut self, endpoint: &EndpointName, claimed: &Claimed) -> Outcome {
        let answered = |status| Outcome::Answered { status, retry_after: None };
        if !self.failing {
            return answered(200);
        }
        if self.down.get(endpoint).is_some_and(|until| *until > self.now.mono) {
            return Outcome::Failed { reason: Reason::Connect, status: None };
        }
        // Some events are not taken by some endpoints, whatever happens.
        let poison = claimed.delivery.0 % 41 == 7;
        match self.random.u8(..) {
            _ if poison => answered(422),
            0..10 => Outcome::Answered { status: 503, retry_after: Some(Duration::from_secs(60)) },
            10..40 => answered(500),
            40..60 => Outcome::Failed { reason: Reason::Timeout, status: None },
            60 => answered(410),
            61..64 => {
                let outage = Duration::from_secs(self.random.u64(10..30_000));
                self.down.insert(endpoint.clone(), self.now.mono + outage);
                Outcome::Failed { reason: Reason::Connect, status: None }
            }
            _ => answered(200),
        }
    }

    fn end_attempt(&mut self) {
        let ((_, delivery), (endpoint, claimed)) = self.sending.pop_first().unwrap();
        let outcome = self.outcome(&endpoint, &claimed);
        // A receiver may have taken what it seems to have refused.
        if outcome.reason().is_none() || (self.random.u8(..) < 20 && outcome.reason() != Some(Reason::Connect)) {
            let taken = self.taken.entry(endpoint.clone()).or_default();
            taken.push((claimed.event.clone(), Some(claimed.previous.clone())));
            let others = claimed.batch.iter().flatten();
            taken.extend(others.map(|other| (other.event.clone(), None)));
        }
        let (began_at, took) = (self.now.wall, Duration::from_secs(1));
        self.step(Input::Sent(Sent { endpoint, delivery, began_at, took, reply: outcome.into() }));
    }

    /// The process dies without a word, and another takes its place.
    fn kill(mut self, path: &Path) -> Self {
        drop(self.db);
        self.sending.clear();
        let mut db = Db::open(path, self.now.wall).unwrap();
        let batching = self.random.u8(..) < 200;
        configure(&mut db, self.now, batching);
        if !batching {
            // Where nothing goes together, what did is free.
            self.batches.clear();
        }
        let seed = self.random.u64(..);
        let mut next = Self { db, core: core(seed), batching, ..self };
        next.step(Input::Tick);
        next
    }

    /// Moves on to the next thing that happens by itself.
    fn advance(&mut self) {
        let ends = self.sending.keys().next().map(|(ends, _)| *ends);
        let next = ends.into_iter().chain(self.wake_at).min().unwrap_or(self.now.mono);
        self.now = self.now.after(next.saturating_sub(self.now.mono));
        if ends.is_some_and(|ends| ends <= self.now.mono) { self.end_attempt() } else { self.step(Input::Tick) }
    }

    /// The operator switches on what is off.
    fn enable(&mut self) {
        for kind in &ENDPOINTS {
            self.db.write(AdminRequest::Enable(endpoint(kind.name)), self.now.wall).unwrap();
        }
        self.step(Input::Woken);
    }

    fn pending(&self) -> u64 {
        self.db.outbox_summary().unwrap().iter().map(|summary| summary.pending).sum()
    }
}

impl Stage for History {
    fn parts(&mut self) -> Parts<'_> {
        Parts { core: &mut self.core, db: &mut self.db, now: self.now, wake_at: &mut self.wake_at }
    }

    fn begin_attempt(&mut self, endpoint: EndpointName, claimed: Claimed) {
        let of_endpoint = || self.sending.values().filter(|(name, _)| *name == endpoint);
        let doubled = of_endpoint().any(|(_, other)| other.lane == claimed.lane && kind(&endpoint).ordered);
        assert!(!doubled, "two of one conference are under way");
        assert!(of_endpoint().count() < CONCURRENCY, "more are under way than may be");
        if let Some(others) = &claimed.batch {
            let most = kind(&endpoint).batching.unwrap().max_events as usize;
            assert!(others.len() < most, "more than fit into a batch");
            let events: Vec<_> = [&claimed.event].into_iter().chain(others.iter().map(|o| &o.event)).cloned().collect();
            self.heaps += usize::from(events.len() > 1);
            let frozen = self.batches.entry(claimed.delivery).or_insert_with(|| events.clone());
            assert_eq!(*frozen, events, "what is sent again is not the same");
        }
        assert_eq!(claimed.batch.is_some(), self.batching && kind(&endpoint).batching.is_some());
        let ends = self.now.mono + Duration::from_millis(self.random.u64(1..15_000));
        self.sending.insert((ends, claimed.delivery), (endpoint, claimed));
    }

    fn exchange_fails(&mut self) -> bool {
        self.failing && self.random.u8(..) < 10
    }
}

fn live_through(seed: u64) -> [usize; 4] {
    // The death is a simulated one, so memory will do for a disk.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let path = folder.path().join("meetwatch.db");
    let mut history = History::begin(&path, seed);
    history.step(Input::Tick);
    while history.happened < HAPPENINGS {
        match history.random.u8(..) {
            0..50 => history.happen(),
            50..54 => history = history.kill(&path),
            54..57 => history.enable(),
            _ => history.advance(),
        }
    }
    for round in 0..20_000 {
        history.failing = history.failing && round < 200;
        if history.pending() == 0 {
            break;
        }
        if !history.failing && round % 100 == 0 {
            history.enable();
        }
        history.advance();
    }
    assert_eq!(history.pending(), 0, "the outbox is empty in the end");
    let [settled, expired, dead] = history.check();
    [settled, expired, dead, history.heaps]
}

#[test]
fn everybody_has_what_was_promised_in_order_whatever_fails() {
    let mut skipped = [0; 4];
    for seed in 0..125 {
        let of_seed = std::panic::catch_unwind(|| live_through(seed)).unwrap_or_else(|_| panic!("seed {seed}"));
        for (sum, count) in skipped.iter_mut().zip(of_seed) {
            *sum += count;
        }
    }
    assert!(skipped.iter().all(|count| *count > 20), "the histories were too tame: {skipped:?}");
}
