//! Random histories of outbox and dispatcher, without sockets and in virtual time: people join and leave, deliveries fail,
//! endpoints are down for a while, and the process is killed. In the end each endpoint has got at least once every event that
//! its filter promises, except those recorded as settled, expired or dead, each conference in order. An endpoint that settles
//! knows the same people to be present as any other.

mod changes;
mod compare;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use meetwatch::backoff::Random;
use meetwatch::clock::{Mono, Now};
use meetwatch::delivery::http::answer;
use meetwatch::delivery::report::FinishedAttempt;
use meetwatch::delivery::step::{Core, DispatchInput};
use meetwatch::delivery::{Endpoint, Outcome, Policy, Reply, TransportFailure};
use meetwatch::model::{EndpointName, EventId, EventType};
use meetwatch::store::{AdminRequest, Batching, Claimed, Db, DeliveryId, EndpointConfig};

use crate::delivery_harness::{Parts, Stage};
use crate::store_samples::{endpoint, noon};

const CONFERENCES: usize = 4;
const PEOPLE: usize = 3;
/// How many changes a history has.
const CHANGES: usize = 60;
const CONCURRENCY: u32 = 3;
const HOUR: Duration = Duration::from_secs(3600);

/// The configuration of an endpoint.
struct EndpointConfiguration {
    name: &'static str,
    wants: fn(EventType) -> bool,
    ordered: bool,
    settle: Duration,
    max_age: Option<Duration>,
    /// How its events are grouped. Some restarts configure no grouping.
    batching: Option<Batching>,
}

const fn of(max_events: u32, seconds: u64) -> Option<Batching> {
    Some(Batching { max_events, max_wait: Duration::from_secs(seconds) })
}

fn is_of_people(event: EventType) -> bool {
    matches!(event, EventType::ParticipantJoined | EventType::ParticipantLeft)
}

const PLAIN: EndpointConfiguration = EndpointConfiguration {
    name: "raw",
    wants: |_| true,
    ordered: true,
    settle: Duration::ZERO,
    max_age: None,
    batching: None,
};

const ENDPOINTS: [EndpointConfiguration; 8] = [
    PLAIN,
    EndpointConfiguration { name: "calm", settle: Duration::from_secs(60), ..PLAIN },
    EndpointConfiguration {
        name: "people",
        wants: is_of_people,
        settle: Duration::from_secs(20),
        max_age: Some(HOUR),
        ..PLAIN
    },
    EndpointConfiguration {
        name: "leaves",
        wants: |event| event == EventType::ParticipantLeft,
        settle: Duration::from_secs(60),
        ..PLAIN
    },
    EndpointConfiguration { name: "loose", ordered: false, settle: Duration::from_secs(30), ..PLAIN },
    EndpointConfiguration { name: "heaps", batching: of(4, 20), ..PLAIN },
    EndpointConfiguration { name: "calm-heaps", settle: Duration::from_secs(60), batching: of(5, 30), ..PLAIN },
    EndpointConfiguration { name: "young-heaps", max_age: Some(HOUR), batching: of(100, 600), ..PLAIN },
];

fn kind(endpoint: &EndpointName) -> &'static EndpointConfiguration {
    ENDPOINTS.iter().find(|kind| kind.name == endpoint.as_str()).unwrap()
}

/// An event as it was emitted.
#[derive(Clone)]
struct EmittedEvent {
    id: EventId,
    event: EventType,
    conference: usize,
    person: usize,
    sequence: u64,
    time: i64,
    takes_back: Option<EventId>,
    promised: BTreeSet<&'static str>,
}

/// What was emitted about one person.
#[derive(Clone, Default)]
struct Person {
    /// The last join or leave that was not retracted; a leave if `present` is false.
    last: Option<EventId>,
    present: bool,
    /// The last leave and the return after it, with their times, if neither was retracted.
    bridge: Option<((EventId, i64), (EventId, i64))>,
}

/// An event, and the previous event that its delivery named. Only the first event of a batch has one.
type Taken = (EventId, Option<Option<EventId>>);

struct History {
    random: Random,
    now: Now,
    db: Db,
    core: Core,
    /// The attempts in flight, by the time of their end.
    sending: BTreeMap<(Mono, DeliveryId), (EndpointName, Claimed)>,
    wake_at: Option<Mono>,
    /// What each endpoint accepted, in the order of arrival.
    taken: BTreeMap<EndpointName, Vec<Taken>>,
    /// The events of each batch that was sent.
    batches: BTreeMap<DeliveryId, Vec<EventId>>,
    /// How many batches had more than one event.
    large_batches: usize,
    /// Whether the current process is configured for batches.
    batching: bool,
    emitted: Vec<EmittedEvent>,
    people: Vec<Vec<Person>>,
    /// Until when an endpoint is down.
    down: BTreeMap<EndpointName, Mono>,
    changes: usize,
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
        rate: None,
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
            large_batches: 0,
            batching: true,
            emitted: Vec::new(),
            people: vec![vec![Person::default(); PEOPLE]; CONFERENCES],
            down: BTreeMap::new(),
            changes: 0,
            failing: true,
        }
    }

    fn reply(&mut self, endpoint: &EndpointName, claimed: &Claimed) -> Reply {
        let answered = |status| answer::reply(status, None);
        if !self.failing {
            return answered(200);
        }
        if self.down.get(endpoint).is_some_and(|until| *until > self.now.mono) {
            return Outcome::TransportFailed(TransportFailure::Connect).into();
        }
        // Some deliveries are never accepted.
        let poison = claimed.delivery.0 % 41 == 7;
        match self.random.u8(..) {
            _ if poison => answered(422),
            0..10 => answer::reply(503, Some(Duration::from_secs(60))),
            10..40 => answered(500),
            40..60 => Outcome::TransportFailed(TransportFailure::Timeout).into(),
            60 => answered(410),
            61..64 => {
                let outage = Duration::from_secs(self.random.u64(10..30_000));
                self.down.insert(endpoint.clone(), self.now.mono + outage);
                Outcome::TransportFailed(TransportFailure::Connect).into()
            }
            _ => answered(200),
        }
    }

    fn end_attempt(&mut self) {
        let ((_, delivery), (endpoint, claimed)) = self.sending.pop_first().unwrap();
        let reply = self.reply(&endpoint, &claimed);
        // A failed attempt may have reached the receiver all the same.
        let unreachable = Outcome::TransportFailed(TransportFailure::Connect);
        if reply.outcome == Outcome::Accepted || (self.random.u8(..) < 20 && reply.outcome != unreachable) {
            let taken = self.taken.entry(endpoint.clone()).or_default();
            taken.push((claimed.event.clone(), Some(claimed.previous.clone())));
            let others = claimed.batch.iter().flatten();
            taken.extend(others.map(|other| (other.event.clone(), None)));
        }
        let (began_at, took) = (self.now.wall, Duration::from_secs(1));
        self.step(DispatchInput::Finished(FinishedAttempt { endpoint, delivery, began_at, took, reply }));
    }

    /// Kills the process and starts another.
    fn kill(mut self, path: &Path) -> Self {
        drop(self.db);
        self.sending.clear();
        let mut db = Db::open(path, self.now.wall).unwrap();
        let batching = self.random.u8(..) < 200;
        configure(&mut db, self.now, batching);
        if !batching {
            // Without grouping, a batch is not sent as a batch again.
            self.batches.clear();
        }
        let seed = self.random.u64(..);
        let mut next = Self { db, core: core(seed), batching, ..self };
        next.step(DispatchInput::Tick);
        next
    }

    /// Advances the time to the next end of an attempt or wake-up.
    fn advance(&mut self) {
        let ends = self.sending.keys().next().map(|(ends, _)| *ends);
        let next = ends.into_iter().chain(self.wake_at).min().unwrap_or(self.now.mono);
        self.now = self.now.after(next.saturating_sub(self.now.mono));
        if ends.is_some_and(|ends| ends <= self.now.mono) { self.end_attempt() } else { self.step(DispatchInput::Tick) }
    }

    /// Switches every endpoint on.
    fn enable(&mut self) {
        for kind in &ENDPOINTS {
            self.db.write(AdminRequest::Enable(endpoint(kind.name)), self.now.wall).unwrap();
        }
        self.step(DispatchInput::Woken);
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
        assert!(!doubled, "two deliveries of one lane are in flight");
        assert!(
            of_endpoint().count() < CONCURRENCY as usize,
            "more deliveries are in flight than the concurrency allows"
        );
        if let Some(others) = &claimed.batch {
            let most = kind(&endpoint).batching.unwrap().max_events as usize;
            assert!(others.len() < most, "the batch exceeds max_events");
            let events: Vec<_> = [&claimed.event].into_iter().chain(others.iter().map(|o| &o.event)).cloned().collect();
            self.large_batches += usize::from(events.len() > 1);
            let frozen = self.batches.entry(claimed.delivery).or_insert_with(|| events.clone());
            assert_eq!(*frozen, events, "a retried batch has other events");
        }
        assert_eq!(claimed.batch.is_some(), self.batching && kind(&endpoint).batching.is_some());
        let ends = self.now.mono + Duration::from_millis(self.random.u64(1..15_000));
        self.sending.insert((ends, claimed.delivery), (endpoint, claimed));
    }

    fn exchange_fails(&mut self) -> bool {
        self.failing && self.random.u8(..) < 10
    }
}

fn run_history(seed: u64) -> [usize; 4] {
    // The kill is simulated, so a file system in memory suffices.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let path = folder.path().join("meetwatch.db");
    let mut history = History::begin(&path, seed);
    history.step(DispatchInput::Tick);
    while history.changes < CHANGES {
        match history.random.u8(..) {
            0..50 => history.change(),
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
    assert_eq!(history.pending(), 0, "the outbox is not empty in the end");
    let [settled, expired, dead] = history.check();
    [settled, expired, dead, history.large_batches]
}

#[test]
fn every_endpoint_gets_what_its_filter_promises_in_order() {
    let mut skipped = [0; 4];
    for seed in 0..125 {
        let of_seed = std::panic::catch_unwind(|| run_history(seed)).unwrap_or_else(|_| panic!("seed {seed}"));
        for (sum, count) in skipped.iter_mut().zip(of_seed) {
            *sum += count;
        }
    }
    assert!(skipped.iter().all(|count| *count > 20), "too few deliveries were settled, expired or dead: {skipped:?}");
}
