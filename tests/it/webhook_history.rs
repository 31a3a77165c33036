//! Whole histories of the outbox without sockets or waiting: receivers fail at random, the process is killed at random,
//! and in the end everybody has everything at least once, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use meetwatch::backoff::Random;
use meetwatch::clock::{Mono, Now};
use meetwatch::model::EndpointName;
use meetwatch::store::{Claimed, Db, DeliveryId};
use meetwatch::webhook::step::{Command, Core, Endpoint, Input, Sent};
use meetwatch::webhook::{Outcome, Policy, Reason};

use crate::store_samples::{endpoint, joins, noon};

const CONFERENCES: u64 = 6;
const EVENTS: u64 = 8;
const CONCURRENCY: usize = 3;
const NAMES: [&str; 2] = ["audit", "ops"];

struct History {
    random: Random,
    now: Now,
    db: Db,
    core: Core,
    /// When each attempt ends, and what it is.
    sending: BTreeMap<(Mono, DeliveryId), (EndpointName, Claimed)>,
    wake_at: Option<Mono>,
    /// What each endpoint took, in the order of arrival.
    taken: BTreeMap<(EndpointName, String), Vec<u64>>,
    committed: BTreeMap<u64, u64>,
    failing: bool,
}

fn core(seed: u64) -> Core {
    let endpoints = NAMES.map(|name| Endpoint {
        name: endpoint(name),
        policy: Policy::new(Duration::from_secs(3 * 86_400)),
        timeout: Duration::from_secs(15),
        concurrency: CONCURRENCY,
        ordered: true,
        drain_per_second: 50.0,
    });
    Core::new(endpoints, Random::with_seed(seed))
}

impl History {
    fn begin(path: &Path, seed: u64) -> Self {
        Self {
            random: Random::with_seed(seed),
            now: Now { mono: Mono::ZERO, wall: noon() },
            db: Db::open(path, noon()).unwrap(),
            core: core(seed),
            sending: BTreeMap::new(),
            wake_at: Some(Mono::ZERO),
            taken: BTreeMap::new(),
            committed: BTreeMap::new(),
            failing: true,
        }
    }

    fn step(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let step = self.core.step(self.now, input);
            self.wake_at = step.wake_at;
            for command in step.commands {
                match command {
                    Command::Exchange(_) if self.failing && self.random.u8(..) < 10 => {
                        inputs.push(Input::ExchangeFailed);
                    }
                    Command::Exchange(request) => {
                        inputs.push(Input::Exchanged(self.db.exchange(&request, self.now.wall).unwrap()));
                    }
                    Command::Send { endpoint, claimed } => self.begin_attempt(endpoint, *claimed),
                    Command::Note(_) | Command::Turned(_) => {}
                }
            }
        }
    }

    fn begin_attempt(&mut self, endpoint: EndpointName, claimed: Claimed) {
        let doubled =
            self.sending.values().any(|(name, other)| *name == endpoint && other.conference == claimed.conference);
        assert!(!doubled, "two of one conference are under way");
        let sending = self.sending.values().filter(|(name, _)| *name == endpoint).count();
        assert!(sending < CONCURRENCY, "{sending} are under way already");
        let ends = self.now.mono + Duration::from_millis(self.random.u64(1..15_000));
        self.sending.insert((ends, claimed.delivery), (endpoint, claimed));
    }

    fn end_attempt(&mut self) {
        let ((_, delivery), (endpoint, claimed)) = self.sending.pop_first().unwrap();
        let outcome = match self.random.u8(..) {
            0..30 if self.failing => Outcome::Answered { status: 503, retry_after: Some(Duration::from_secs(60)) },
            30..80 if self.failing => Outcome::Answered { status: 500, retry_after: None },
            80..100 if self.failing => Outcome::Failed { reason: Reason::Timeout, status: None },
            _ => Outcome::Answered { status: 200, retry_after: None },
        };
        // A receiver may have taken what it seems to have refused.
        if outcome.reason().is_none() || self.random.bool() {
            let key = (endpoint.clone(), claimed.conference.as_ref().unwrap().to_string());
            let sequence: serde_json::Value = serde_json::from_str(&claimed.body).unwrap();
            self.taken.entry(key).or_default().push(sequence["sequence"].as_u64().unwrap());
        }
        self.step(Input::Sent(Sent {
            endpoint,
            delivery,
            began_at: self.now.wall,
            took: Duration::from_secs(1),
            reply: outcome.into(),
        }));
    }

    fn commit(&mut self) {
        let conference = self.random.u64(0..CONFERENCES);
        let next = self.committed.entry(conference).or_insert(0);
        if *next < EVENTS {
            *next += 1;
            let commit = joins(&format!("c{conference}"), *next..=*next, &NAMES);
            self.db.commit_group(&[commit], self.now.wall).pop().unwrap().unwrap();
            self.step(Input::Woken);
        }
    }

    /// The process dies without a word, and another takes its place.
    fn kill(mut self, path: &Path) -> Self {
        drop(self.db);
        self.sending.clear();
        let db = Db::open(path, self.now.wall).unwrap();
        let seed = self.random.u64(..);
        let mut next = Self { db, core: core(seed), ..self };
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

    fn pending(&self) -> u64 {
        self.db.outbox_summary().unwrap().iter().map(|summary| summary.pending).sum()
    }

    fn check(&self) {
        assert_eq!(self.taken.len() as u64, NAMES.len() as u64 * CONFERENCES);
        for (lane, taken) in &self.taken {
            let mut seen = BTreeSet::new();
            let first: Vec<_> = taken.iter().copied().filter(|sequence| seen.insert(*sequence)).collect();
            assert_eq!(first, (1..=EVENTS).collect::<Vec<_>>(), "{lane:?} took {taken:?}");
        }
    }
}

fn live_through(seed: u64) {
    // The death is a simulated one, so memory will do for a disk.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let path = folder.path().join("meetwatch.db");
    let mut history = History::begin(&path, seed);
    history.step(Input::Tick);
    while history.committed.values().sum::<u64>() < CONFERENCES * EVENTS {
        match history.random.u8(..) {
            0..60 => history.commit(),
            60..64 => history = history.kill(&path),
            _ => history.advance(),
        }
    }
    history.failing = false;
    for _ in 0..10_000 {
        if history.pending() == 0 {
            break;
        }
        history.advance();
    }
    assert_eq!(history.pending(), 0, "the outbox is empty in the end");
    history.check();
}

#[test]
fn everybody_has_everything_in_order_whatever_fails() {
    for seed in 0..16 {
        live_through(seed);
    }
}
