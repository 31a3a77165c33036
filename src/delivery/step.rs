//! The dispatcher without sockets, clock or store: told what happened, it says what to do and when to be asked again.
//! Given the same seed and the same history, it does the same.
//!
//! One round with the outbox is under way at a time. It takes along all that was finished meanwhile and claims for every
//! endpoint that has room, so that the busier it gets, the more one transaction carries.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::decide::Verdict;
pub use super::endpoint::Endpoint;
use super::outcome::{Outcome, Reply};
use super::queue::{Decided, Queue};
use crate::backoff::{Random, jittered};
use crate::clock::{Mono, Now};
use crate::model::EndpointName;
use crate::store::{AttemptRecord, ClaimRequest, Claimed, DeliveryId, OutboxReply, OutboxRequest, StoredBreaker};

/// Due deliveries are looked for so often even if nobody calls.
pub const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How long to leave the outbox alone after it failed: this long first, twice as long each time, this long at most.
const AFTER_FAILURE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// Something may be due: a commit was made, or an endpoint switched on.
    Woken,
    /// The time asked for has come.
    Tick,
    /// The outbox answered.
    Exchanged(OutboxReply),
    /// The outbox could not do it: nothing was recorded and nothing claimed.
    ExchangeFailed,
    /// An attempt ended.
    Sent(Sent),
    /// These are the endpoints from now on.
    Reconfigured(Vec<Endpoint>),
    /// Claim no more; what is being sent may finish.
    Stop,
    /// What is still being sent was abandoned.
    Abandon,
}

/// An attempt that ended.
#[derive(Debug, Clone)]
pub struct Sent {
    pub endpoint: EndpointName,
    pub delivery: DeliveryId,
    pub began_at: Timestamp,
    pub took: Duration,
    pub reply: Reply,
}

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Have a round with the outbox and bring the answer.
    Exchange(OutboxRequest),
    /// Make an attempt and bring the outcome.
    Send { endpoint: EndpointName, claimed: Box<Claimed> },
    /// Let the operator know of an attempt.
    Note(Note),
    /// Let the operator know how an endpoint fares.
    Turned(Turned),
    /// Nothing is sent any more to an endpoint that is no longer configured.
    Left(EndpointName),
}

/// What an operator may want to know of an attempt. Nothing in it is a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    pub endpoint: EndpointName,
    pub delivery: DeliveryId,
    /// 1 for the first.
    pub attempt: u32,
    pub took: Duration,
    /// How many events were in it.
    pub events: u64,
    pub outcome: Outcome,
    pub verdict: Verdict,
}

/// What an operator may want to know of an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub enum Turned {
    /// It is in trouble as a whole, or well again.
    Breaker { endpoint: EndpointName, breaker: StoredBreaker },
    /// So many deliveries were not sent: too old for it, and given up because their time passed while it was in trouble.
    Skipped { endpoint: EndpointName, expired: u64, buried: u64 },
}

/// What a step brought.
#[derive(Debug, Default)]
pub struct Step {
    pub commands: Vec<Command>,
    /// When to be asked again with [`Input::Tick`], if nothing else happens before.
    pub wake_at: Option<Mono>,
    /// Stopped, and nothing is left to do.
    pub finished: bool,
}

/// The dispatcher's state.
#[derive(Debug)]
pub struct Core {
    queues: BTreeMap<EndpointName, Queue>,
    /// Waiting to be recorded.
    records: Vec<AttemptRecord>,
    /// Being recorded.
    recording: Vec<AttemptRecord>,
    exchanging: bool,
    failures: u32,
    not_before: Mono,
    look_at: Mono,
    stopping: bool,
    abandoned: bool,
    random: Random,
}

impl Core {
    /// A dispatcher for these endpoints, which begins by looking for what is due.
    #[must_use]
    pub fn new(endpoints: impl IntoIterator<Item = Endpoint>, random: Random) -> Self {
        let queues = endpoints.into_iter().map(|endpoint| (endpoint.name.clone(), Queue::new(endpoint)));
        Self {
            queues: queues.collect(),
            records: Vec::new(),
            recording: Vec::new(),
            exchanging: false,
            failures: 0,
            not_before: Mono::ZERO,
            look_at: Mono::ZERO,
            stopping: false,
            abandoned: false,
            random,
        }
    }

    /// Takes in what happened and says what to do.
    pub fn step(&mut self, now: Now, input: Input) -> Step {
        let mut commands = Vec::new();
        match input {
            Input::Woken => self.look_everywhere(),
            Input::Tick => {}
            Input::Exchanged(reply) => self.exchanged(now, reply, &mut commands),
            Input::ExchangeFailed => self.exchange_failed(now),
            Input::Sent(sent) => self.sent(now, sent, &mut commands),
            Input::Reconfigured(endpoints) => self.reconfigure(now.mono, endpoints),
            Input::Stop => self.stop(),
            Input::Abandon => self.abandon(),
        }
        if now.mono >= self.look_at {
            self.look_everywhere();
            self.look_at = now.mono + LOOK_EVERY;
        }
        self.send(now.mono, &mut commands);
        commands.extend(self.next_exchange(now.mono).map(Command::Exchange));
        self.let_go(&mut commands);
        Step { commands, wake_at: self.wake_at(), finished: self.is_finished() }
    }

    /// Whether it was told to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Takes over other endpoints. What an endpoint is owed that is gone stays owed; what is being sent to it finishes.
    fn reconfigure(&mut self, now: Mono, endpoints: Vec<Endpoint>) {
        let mut gone: BTreeSet<EndpointName> = self.queues.keys().cloned().collect();
        for endpoint in endpoints {
            gone.remove(&endpoint.name);
            match self.queues.get_mut(&endpoint.name) {
                Some(queue) => self.records.extend(queue.change(endpoint, now)),
                None => drop(self.queues.insert(endpoint.name.clone(), Queue::new(endpoint))),
            }
        }
        for (_, queue) in self.queues.iter_mut().filter(|(name, _)| gone.contains(*name)) {
            self.records.extend(queue.retire());
        }
    }

    /// Forgets endpoints that are gone, once nothing of them is under way.
    fn let_go(&mut self, commands: &mut Vec<Command>) {
        if self.exchanging {
            return;
        }
        for (name, _) in self.queues.extract_if(.., |_, queue| queue.is_retired() && queue.is_idle()) {
            commands.push(Command::Left(name));
        }
    }

    fn look_everywhere(&mut self) {
        self.queues.values_mut().for_each(Queue::look);
    }

    fn exchanged(&mut self, now: Now, reply: OutboxReply, commands: &mut Vec<Command>) {
        self.exchanging = false;
        self.failures = 0;
        self.recording.clear();
        self.queues.values_mut().for_each(|queue| queue.breaker().noted(true));
        for delivery in reply.stale {
            tracing::warn!(delivery = delivery.0, "an attempt's outcome came after its claim had ended");
        }
        for reply in reply.endpoints {
            let Some(queue) = self.queues.get_mut(&reply.endpoint) else { continue };
            let endpoint = reply.endpoint.clone();
            let (expired, buried) = (reply.expired, reply.buried);
            if expired + buried > 0 {
                commands.push(Command::Turned(Turned::Skipped { endpoint: endpoint.clone(), expired, buried }));
            }
            if let Some(breaker) = queue.claimed(now, reply) {
                commands.push(Command::Turned(Turned::Breaker { endpoint, breaker }));
            }
            if self.stopping {
                // Claimed just before the stop: it goes back untouched.
                self.records.extend(queue.release_waiting());
            }
        }
        self.end_round();
    }

    fn end_round(&mut self) {
        for queue in self.queues.values_mut() {
            self.records.extend(queue.end_of_round());
        }
    }

    /// Nothing was written: what was to be recorded still is.
    fn exchange_failed(&mut self, now: Now) {
        self.exchanging = false;
        let pause = AFTER_FAILURE.0.saturating_mul(1 << self.failures.min(16)).min(AFTER_FAILURE.1);
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.mono + jittered(pause, 0.2, &mut self.random);
        self.recording.append(&mut self.records);
        std::mem::swap(&mut self.recording, &mut self.records);
        self.queues.values_mut().for_each(|queue| queue.breaker().noted(false));
        self.end_round();
        self.look_everywhere();
    }

    fn sent(&mut self, now: Now, sent: Sent, commands: &mut Vec<Command>) {
        let Some(queue) = self.queues.get_mut(&sent.endpoint) else { return };
        let endpoint = sent.endpoint.clone();
        let jitter = self.random.f64() * 2.0 - 1.0;
        let Some(Decided { records, note, turned }) = queue.sent(now, sent, jitter) else { return };
        self.records.extend(records);
        commands.push(Command::Note(note));
        commands.extend(turned.map(|breaker| Command::Turned(Turned::Breaker { endpoint, breaker })));
    }

    /// Sends what may be sent.
    fn send(&mut self, now: Mono, commands: &mut Vec<Command>) {
        if self.stopping {
            return;
        }
        for queue in self.queues.values_mut() {
            while let Some(claimed) = queue.next(now) {
                commands.push(Command::Send { endpoint: queue.name().clone(), claimed: Box::new(claimed) });
            }
        }
    }

    /// What is being sent may finish; the rest goes back.
    fn stop(&mut self) {
        self.stopping = true;
        for queue in self.queues.values_mut() {
            self.records.extend(queue.release_waiting());
        }
    }

    /// Gives back what was being sent: whether it arrived is not known, so it will be sent again.
    fn abandon(&mut self) {
        self.stopping = true;
        self.abandoned = true;
        for queue in self.queues.values_mut() {
            self.records.extend(queue.release_all());
        }
    }

    /// The next round, if there is a reason for one and none is under way.
    fn next_exchange(&mut self, now: Mono) -> Option<OutboxRequest> {
        if self.exchanging || now < self.not_before {
            return None;
        }
        let claims: Vec<ClaimRequest> = if self.stopping {
            Vec::new()
        } else {
            self.queues.values_mut().filter_map(|queue| queue.ask(now)).collect()
        };
        if self.records.is_empty() && claims.is_empty() {
            return None;
        }
        self.exchanging = true;
        self.recording = std::mem::take(&mut self.records);
        let mut breakers = Vec::new();
        for queue in self.queues.values_mut() {
            if let Some(breaker) = queue.breaker().take_change() {
                breakers.push((queue.name().clone(), breaker));
            }
        }
        let in_flight: Vec<DeliveryId> = self.queues.values().flat_map(Queue::held).collect();
        Some(OutboxRequest { records: self.recording.clone(), breakers, claims, in_flight })
    }

    fn wake_at(&self) -> Option<Mono> {
        if self.stopping {
            return (!self.exchanging && !self.records.is_empty()).then_some(self.not_before);
        }
        // While the outbox is at work nobody can ask it, but what is held ready may have to be sent.
        let not_before = if self.exchanging { Mono::MAX } else { self.not_before };
        let queues = self.queues.values().filter_map(|queue| queue.wake_at(not_before));
        let records = (!self.records.is_empty()).then_some(not_before);
        let next = queues.chain(records).chain([self.look_at.max(not_before)]).min();
        next.filter(|next| *next < Mono::MAX)
    }

    fn is_finished(&self) -> bool {
        let idle = self.queues.values().all(Queue::is_idle);
        let recorded = self.records.is_empty() && self.recording.is_empty();
        // Once all was abandoned, a store that fails is no reason to wait: its leases end with the process.
        self.stopping && idle && !self.exchanging && (recorded || (self.abandoned && self.failures > 0))
    }
}

#[cfg(test)]
mod tests;
