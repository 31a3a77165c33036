//! The deliveries of a history: the real dispatcher's core and outbox, and a receiver that fails and repeats.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::backoff::Random;
use crate::clock::{Mono, Now};
use crate::model::route::EventPattern;
use crate::model::{ConferenceName, EndpointName, Event, EventId, Route};
use crate::store::{Claimed, Db, DeliveryId};
use crate::webhook::step::{Command, Core, Endpoint, Input, Sent};
use crate::webhook::{Outcome, Policy, Reason};

/// A receiver is patient only so often: beyond, Google's events would grow too old for it.
const MOST_FAILURES: u32 = 4;

/// The post office and the one it delivers to.
#[derive(Debug)]
pub(super) struct Post {
    endpoint: EndpointName,
    core: Core,
    random: Random,
    sending: BTreeMap<(Mono, DeliveryId), Claimed>,
    wake_at: Option<Mono>,
    /// What the receiver took, in the order of arrival, repetitions included.
    taken: BTreeMap<Option<ConferenceName>, Vec<EventId>>,
    pub deliveries: u64,
    /// Whether the receiver still fails at times.
    pub failing: bool,
}

fn core(endpoint: &EndpointName, seed: u64) -> Core {
    let policy = Policy::new(Duration::from_secs(3 * 86_400));
    let endpoint = Endpoint {
        name: endpoint.clone(),
        policy,
        timeout: Duration::from_secs(15),
        concurrency: 4,
        ordered: true,
        drain_per_second: 50.0,
    };
    Core::new([endpoint], Random::with_seed(seed))
}

impl Post {
    pub(super) fn new(endpoint: EndpointName, seed: u64) -> Self {
        let mut random = Random::with_seed(seed);
        let core = core(&endpoint, random.u64(..));
        Self {
            endpoint,
            core,
            random,
            sending: BTreeMap::new(),
            wake_at: Some(Mono::ZERO),
            taken: BTreeMap::new(),
            deliveries: 0,
            failing: true,
        }
    }

    /// Everything goes to the one receiver.
    pub(super) fn route(&self) -> Route {
        Route {
            endpoint: self.endpoint.clone(),
            events: vec![EventPattern::All],
            kinds: Vec::new(),
            targets: Vec::new(),
            provenance: Vec::new(),
        }
    }

    /// When something happens next.
    pub(super) fn next(&self) -> Option<Mono> {
        self.sending.keys().next().map(|(ends, _)| *ends).into_iter().chain(self.wake_at).min()
    }

    /// Does what is due.
    pub(super) fn proceed(&mut self, db: &mut Db, now: Now) {
        let Some(((ends, _), _)) = self.sending.first_key_value() else { return self.step(db, now, Input::Tick) };
        if *ends > now.mono {
            return self.step(db, now, Input::Tick);
        }
        let Some(((_, delivery), claimed)) = self.sending.pop_first() else { return };
        self.deliveries += 1;
        let fails = self.failing && claimed.attempts < MOST_FAILURES && self.random.u8(0..5) == 0;
        let outcome = match self.random.u8(0..3) {
            _ if !fails => Outcome::Answered { status: 200, retry_after: None },
            0 => Outcome::Answered { status: 500, retry_after: None },
            1 => Outcome::Answered { status: 503, retry_after: Some(Duration::from_secs(20)) },
            _ => Outcome::Failed { reason: Reason::Timeout, status: None },
        };
        // A receiver may have taken what it seems to have refused.
        if !fails || self.random.bool() {
            self.taken.entry(claimed.conference.clone()).or_default().push(claimed.event.clone());
        }
        let sent = Sent {
            endpoint: self.endpoint.clone(),
            delivery,
            began_at: now.wall,
            took: Duration::from_secs(1),
            reply: outcome.into(),
        };
        self.step(db, now, Input::Sent(sent));
    }

    /// Something was committed.
    pub(super) fn wake(&mut self, db: &mut Db, now: Now) {
        self.step(db, now, Input::Woken);
    }

    /// The process died; another begins with what the outbox says.
    pub(super) fn die(&mut self) {
        self.sending.clear();
        self.core = core(&self.endpoint, self.random.u64(..));
        self.wake_at = Some(Mono::ZERO);
    }

    fn step(&mut self, db: &mut Db, now: Now, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let step = self.core.step(now, input);
            self.wake_at = step.wake_at;
            for command in step.commands {
                match command {
                    Command::Exchange(_) if self.failing && self.random.u8(0..50) == 0 => {
                        inputs.push(Input::ExchangeFailed);
                    }
                    Command::Exchange(request) => {
                        let reply = db.exchange(&request, now.wall);
                        inputs.push(reply.map_or(Input::ExchangeFailed, Input::Exchanged));
                    }
                    Command::Send { claimed, .. } => {
                        let ends = now.mono + Duration::from_millis(self.random.u64(1..5_000));
                        self.sending.insert((ends, claimed.delivery), *claimed);
                    }
                    Command::Note(_) | Command::Turned(_) | Command::Left(_) => {}
                }
            }
        }
    }

    /// What the receiver was owed and did not get, or not in its order.
    pub(super) fn compare(&self, log: &[Event]) -> Vec<String> {
        let mut owed: BTreeMap<Option<ConferenceName>, Vec<EventId>> = BTreeMap::new();
        for event in log {
            let conference = event.conference.as_ref().map(|conference| conference.name.clone());
            owed.entry(conference).or_default().push(event.id.clone());
        }
        let mut wrong = Vec::new();
        for (conference, owed) in owed {
            let taken = self.taken.get(&conference).map_or(&[][..], Vec::as_slice);
            let mut seen = BTreeSet::new();
            let mut first: Vec<_> = taken.iter().filter(|id| seen.insert(*id)).cloned().collect();
            let mut owed = owed;
            if conference.is_none() {
                // Without a conference there is no order to keep.
                first.sort();
                owed.sort();
            }
            if first != owed {
                let name = conference.map_or_else(|| "no conference".to_owned(), |name| name.to_string());
                wrong.push(format!("{name}: of {} events owed the receiver took {}", owed.len(), first.len()));
            }
        }
        wrong
    }
}
