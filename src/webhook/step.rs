//! The dispatcher without sockets, clock or store: told what happened, it says what to do and when to be asked again.
//! Given the same seed and the same history, it does the same.
//!
//! One round with the outbox is under way at a time. It takes along all that was finished meanwhile and claims for every
//! endpoint that has room, so that the busier it gets, the more one transaction carries.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::decide::Verdict;
use super::outcome::{Outcome, Reply};
pub use super::queue::Endpoint;
use super::queue::{Decided, Queue};
use crate::backoff::{Random, jittered};
use crate::clock::{Mono, Now};
use crate::model::EndpointName;
use crate::store::{Breaker, ClaimRequest, Claimed, DeliveryId, OutboxReply, OutboxRequest, Record};

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
    Breaker { endpoint: EndpointName, breaker: Breaker },
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
    records: Vec<Record>,
    /// Being recorded.
    recording: Vec<Record>,
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
            Input::Stop => self.stop(),
            Input::Abandon => self.abandon(),
        }
        if now.mono >= self.look_at {
            self.look_everywhere();
            self.look_at = now.mono + LOOK_EVERY;
        }
        self.send(now.mono, &mut commands);
        commands.extend(self.next_exchange(now.mono).map(Command::Exchange));
        Step { commands, wake_at: self.wake_at(), finished: self.is_finished() }
    }

    /// Whether it was told to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping
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
mod tests {
    use super::*;
    use crate::model::{EventId, EventType};
    use crate::store::{EndpointReply, LaneId, Pick, Then};
    use crate::webhook::Policy;

    fn name() -> EndpointName {
        EndpointName::parse("ops").unwrap()
    }

    fn core(concurrency: usize) -> Core {
        let hour = Duration::from_secs(3600);
        let endpoint = Endpoint {
            name: name(),
            policy: Policy::new(hour),
            timeout: Duration::from_secs(15),
            concurrency,
            ordered: true,
            batched: false,
            drain_per_second: 50.0,
        };
        Core::new([endpoint], Random::with_seed(1))
    }

    fn now(seconds: u64) -> Now {
        Now { mono: Duration::ZERO, wall: Timestamp::UNIX_EPOCH }.after(Duration::from_secs(seconds))
    }

    fn claimed(delivery: i64) -> Claimed {
        Claimed {
            delivery: DeliveryId(delivery),
            lane: LaneId(delivery),
            claim: 1,
            event: EventId::parse("evt_a").unwrap(),
            event_type: EventType::WebhookTest,
            conference: None,
            time: Timestamp::UNIX_EPOCH,
            body: "{}".into(),
            previous: None,
            attempts: 0,
            failures: 0,
            rejections: 0,
            owed_at: Timestamp::UNIX_EPOCH,
            tried_since: None,
            others_wait: false,
            batch: None,
        }
    }

    fn reply(deliveries: &[i64], next_due: Option<u64>) -> Input {
        let claimed = deliveries.iter().map(|delivery| claimed(*delivery)).collect();
        let next_due = next_due.map(|due| now(due).wall);
        let endpoints = vec![EndpointReply {
            endpoint: name(),
            enabled: true,
            breaker: Breaker::Closed,
            claimed,
            expired: 0,
            buried: 0,
            next_due,
        }];
        Input::Exchanged(OutboxReply { endpoints, stale: Vec::new() })
    }

    fn sent(delivery: i64) -> Input {
        Input::Sent(Sent {
            endpoint: name(),
            delivery: DeliveryId(delivery),
            began_at: Timestamp::UNIX_EPOCH,
            took: Duration::ZERO,
            reply: Outcome::Answered { status: 200, retry_after: None }.into(),
        })
    }

    fn exchange(step: Step) -> Option<OutboxRequest> {
        step.commands.into_iter().find_map(|command| match command {
            Command::Exchange(request) => Some(request),
            Command::Send { .. } | Command::Note(_) | Command::Turned(_) => None,
        })
    }

    fn limit(request: &OutboxRequest) -> usize {
        match request.claims[0].pick {
            Pick::Due { limit, .. } => limit,
            Pick::Probe { .. } => 1,
        }
    }

    /// The deliveries that are to be sent.
    fn sends(step: &Step) -> Vec<i64> {
        let sends = step.commands.iter().filter_map(|command| match command {
            Command::Send { claimed, .. } => Some(claimed.delivery.0),
            Command::Exchange(_) | Command::Note(_) | Command::Turned(_) => None,
        });
        sends.collect()
    }

    #[test]
    fn it_holds_some_ready_and_sends_as_many_at_once_as_it_may() {
        let mut core = core(3);
        assert_eq!(limit(&exchange(core.step(now(0), Input::Tick)).unwrap()), 384);
        let step = core.step(now(0), reply(&[1, 2, 3, 4, 5], None));
        assert_eq!(sends(&step), [1, 2, 3]);
        assert!(exchange(step).is_none());
        let step = core.step(now(1), sent(2));
        assert_eq!(sends(&step), [4]);
        let request = exchange(step).unwrap();
        assert_eq!((request.records.len(), limit(&request)), (1, 383), "one is waiting");
        assert_eq!(request.in_flight, [1, 3, 4, 5].map(DeliveryId));
    }

    #[test]
    fn a_run_of_one_conference_goes_out_one_after_another_and_back_when_one_fails() {
        let mut core = core(3);
        core.step(now(0), Input::Tick);
        let Input::Exchanged(mut run) = reply(&[1, 2, 3], None) else { unreachable!("made so") };
        for claimed in &mut run.endpoints[0].claimed {
            claimed.lane = LaneId(7);
        }
        assert_eq!(sends(&core.step(now(0), Input::Exchanged(run))), [1]);
        let step = core.step(now(1), sent(1));
        assert_eq!(sends(&step), [2], "no round with the outbox lies between");
        core.step(now(1), Input::Exchanged(OutboxReply::default()));
        let Input::Sent(mut failed) = sent(2) else { unreachable!("made so") };
        failed.reply = Outcome::Answered { status: 500, retry_after: None }.into();
        let step = core.step(now(2), Input::Sent(failed));
        assert!(sends(&step).is_empty());
        let records = exchange(step).unwrap().records;
        assert!(matches!(records[0].then, Then::Retry { failures: 1, .. }));
        assert_eq!((records[1].delivery, records[1].then.clone()), (DeliveryId(3), Then::Release));
    }

    #[test]
    fn one_round_is_under_way_at_a_time_and_the_next_takes_along_what_came_meanwhile() {
        let mut core = core(3);
        core.step(now(0), Input::Tick);
        core.step(now(0), reply(&[1, 2, 3], None));
        assert!(exchange(core.step(now(1), sent(1))).is_some());
        assert!(exchange(core.step(now(1), sent(2))).is_none());
        assert!(exchange(core.step(now(1), sent(3))).is_none());
        assert_eq!(exchange(core.step(now(2), reply(&[], None))).unwrap().records.len(), 2);
    }

    #[test]
    fn what_could_not_be_recorded_is_recorded_later_and_nothing_is_asked_meanwhile() {
        let mut core = core(3);
        core.step(now(0), Input::Tick);
        core.step(now(0), reply(&[1, 2], None));
        let first = exchange(core.step(now(1), sent(1))).unwrap();
        core.step(now(1), sent(2));
        let failed = core.step(now(1), Input::ExchangeFailed);
        let again = failed.wake_at.unwrap();
        assert!(exchange(failed).is_none() && again > now(1).mono);
        assert!(exchange(core.step(now(1), Input::Woken)).is_none());
        let request = exchange(core.step(now(2), Input::Tick)).unwrap();
        assert_eq!(request.records[0], first.records[0]);
        assert_eq!(request.records[1].delivery, DeliveryId(2));
    }

    #[test]
    fn it_wakes_when_the_next_is_due_and_once_a_minute_anyway() {
        let mut core = core(3);
        core.step(now(0), Input::Tick);
        assert_eq!(core.step(now(0), reply(&[], Some(17))).wake_at, Some(now(17).mono));
        assert!(exchange(core.step(now(16), Input::Tick)).is_none());
        assert!(exchange(core.step(now(17), Input::Tick)).is_some());
        assert_eq!(core.step(now(17), reply(&[], Some(5000))).wake_at, Some(now(60).mono));
        assert!(exchange(core.step(now(60), Input::Tick)).is_some());
    }

    #[test]
    fn a_stop_lets_what_is_being_sent_finish_and_gives_back_what_was_claimed_too_late() {
        let mut core = core(3);
        core.step(now(0), Input::Tick);
        core.step(now(0), reply(&[1], None));
        core.step(now(1), Input::Woken);
        assert!(!core.step(now(1), Input::Stop).finished);
        let late = exchange(core.step(now(1), reply(&[2], None))).unwrap();
        assert_eq!((late.claims.len(), late.records[0].then.clone()), (0, Then::Release));
        assert!(!core.step(now(1), Input::Exchanged(OutboxReply::default())).finished);
        let last = core.step(now(2), sent(1));
        assert!(!last.finished && exchange(last).unwrap().records[0].then == Then::Done);
        assert!(core.step(now(2), Input::Exchanged(OutboxReply::default())).finished);
    }
}
