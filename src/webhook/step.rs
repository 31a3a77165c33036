//! The dispatcher without sockets, clock or store: told what happened, it says what to do and when to be asked again.
//! Given the same seed and the same history, it does the same.
//!
//! One round with the outbox is under way at a time. It takes along all that was finished meanwhile and claims for every
//! endpoint that has room, so that the busier it gets, the more one transaction carries.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::decide::{self, Attempt, Policy, Verdict};
use super::outcome::{Outcome, Reason, Reply};
use crate::backoff::{Random, jittered};
use crate::clock::{Mono, Now, elapsed};
use crate::model::EndpointName;
use crate::store::{
    AttemptRow, ClaimRequest, Claimed, DeliveryId, EndpointReply, OutboxReply, OutboxRequest, Record, Then,
};

/// Due deliveries are looked for so often even if nobody calls.
pub const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How long to leave the outbox alone after it failed: this long first, twice as long each time, this long at most.
const AFTER_FAILURE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// What the dispatcher has to know of an endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub name: EndpointName,
    pub policy: Policy,
    /// How long one attempt may take. A claim holds for three times as long.
    pub timeout: Duration,
    /// How many deliveries, each of another conference, are sent at once.
    pub concurrency: usize,
}

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
    /// Let the operator know.
    Note(Note),
}

/// What an operator may want to know of an attempt. Nothing in it is a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    pub endpoint: EndpointName,
    pub delivery: DeliveryId,
    /// 1 for the first.
    pub attempt: u32,
    pub took: Duration,
    pub outcome: Outcome,
    pub verdict: Verdict,
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

/// A delivery that is being sent.
#[derive(Debug, Clone, Copy)]
struct InFlight {
    claim: i64,
    attempt: Attempt,
}

impl From<&Claimed> for InFlight {
    fn from(claimed: &Claimed) -> Self {
        let attempt = Attempt {
            number: claimed.attempts + 1,
            rejections: claimed.rejections,
            owed_at: claimed.owed_at,
            tried_since: claimed.tried_since,
            others_wait: claimed.others_wait,
        };
        Self { claim: claimed.claim, attempt }
    }
}

#[derive(Debug)]
struct Lane {
    endpoint: Endpoint,
    in_flight: BTreeMap<DeliveryId, InFlight>,
    /// Something may be due that was not asked for yet.
    look: bool,
    next_due: Option<Mono>,
}

impl Lane {
    fn room(&self) -> usize {
        self.endpoint.concurrency.saturating_sub(self.in_flight.len())
    }

    fn has_to_ask(&self, now: Mono) -> bool {
        self.room() > 0 && (self.look || self.next_due.is_some_and(|due| due <= now))
    }
}

/// The dispatcher's state.
#[derive(Debug)]
pub struct Core {
    lanes: BTreeMap<EndpointName, Lane>,
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
        let lane = |endpoint: Endpoint| {
            let lane = Lane { endpoint, in_flight: BTreeMap::new(), look: true, next_due: None };
            (lane.endpoint.name.clone(), lane)
        };
        Self {
            lanes: endpoints.into_iter().map(lane).collect(),
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
            Input::Stop => self.stopping = true,
            Input::Abandon => self.abandon(),
        }
        if now.mono >= self.look_at {
            self.look_everywhere();
            self.look_at = now.mono + LOOK_EVERY;
        }
        commands.extend(self.next_exchange(now.mono).map(Command::Exchange));
        Step { commands, wake_at: self.wake_at(), finished: self.is_finished() }
    }

    /// Whether it was told to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    fn look_everywhere(&mut self) {
        for lane in self.lanes.values_mut() {
            lane.look = true;
        }
    }

    fn exchanged(&mut self, now: Now, reply: OutboxReply, commands: &mut Vec<Command>) {
        self.exchanging = false;
        self.failures = 0;
        self.recording.clear();
        for delivery in reply.stale {
            tracing::warn!(delivery = delivery.0, "an attempt's outcome came after its claim had ended");
        }
        for endpoint in reply.endpoints {
            self.claimed(now, endpoint, commands);
        }
    }

    fn claimed(&mut self, now: Now, reply: EndpointReply, commands: &mut Vec<Command>) {
        let Some(lane) = self.lanes.get_mut(&reply.endpoint) else { return };
        lane.next_due = reply.next_due.map(|due| now.mono + elapsed(now.wall, due));
        for claimed in reply.claimed {
            if self.stopping {
                // Claimed just before the stop: it goes back untouched.
                self.records.push(release(claimed.delivery, claimed.claim));
                continue;
            }
            let doubled = lane.in_flight.insert(claimed.delivery, InFlight::from(&claimed));
            debug_assert!(doubled.is_none(), "the outbox handed out what is being sent");
            commands.push(Command::Send { endpoint: reply.endpoint.clone(), claimed: Box::new(claimed) });
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
        self.look_everywhere();
    }

    fn sent(&mut self, now: Now, sent: Sent, commands: &mut Vec<Command>) {
        let Some(lane) = self.lanes.get_mut(&sent.endpoint) else { return };
        let Some(InFlight { claim, attempt }) = lane.in_flight.remove(&sent.delivery) else { return };
        // The next of its conference may be due, and there is room again.
        lane.look = true;
        let policy = &lane.endpoint.policy;
        let verdict = decide::decide(&attempt, &sent.reply.outcome, policy, now.wall, self.random.f64() * 2.0 - 1.0);
        let then = match verdict {
            Verdict::Done => Then::Done,
            Verdict::Dead { reason } => Then::Dead { reason: reason.as_str() },
            Verdict::EndpointOff { reason } => Then::EndpointOff { reason: reason.as_str() },
            Verdict::Retry { at, reason } => Then::Retry {
                at,
                hold_until: decide::hold_until(&attempt, policy),
                rejections: if reason == Reason::Rejected { attempt.rejections + 1 } else { 0 },
            },
        };
        let row = AttemptRow {
            began_at: sent.began_at,
            duration: sent.took,
            status: sent.reply.outcome.status(),
            reason: sent.reply.outcome.reason().map(Reason::as_str),
            answer: sent.reply.answer,
        };
        self.records.push(Record { delivery: sent.delivery, claim, attempt: Some(row), then });
        commands.push(Command::Note(Note {
            endpoint: sent.endpoint,
            delivery: sent.delivery,
            attempt: attempt.number,
            took: sent.took,
            outcome: sent.reply.outcome,
            verdict,
        }));
    }

    /// Gives back what was being sent: whether it arrived is not known, so it will be sent again.
    fn abandon(&mut self) {
        self.stopping = true;
        self.abandoned = true;
        for lane in self.lanes.values_mut() {
            let abandoned = std::mem::take(&mut lane.in_flight);
            self.records.extend(abandoned.into_iter().map(|(delivery, in_flight)| release(delivery, in_flight.claim)));
        }
    }

    /// The next round, if there is a reason for one and none is under way.
    fn next_exchange(&mut self, now: Mono) -> Option<OutboxRequest> {
        if self.exchanging || now < self.not_before {
            return None;
        }
        let claims: Vec<_> = if self.stopping { Vec::new() } else { self.claims(now) };
        if self.records.is_empty() && claims.is_empty() {
            return None;
        }
        self.exchanging = true;
        self.recording = std::mem::take(&mut self.records);
        let in_flight = self.lanes.values().flat_map(|lane| lane.in_flight.keys().copied()).collect();
        Some(OutboxRequest { records: self.recording.clone(), claims, in_flight })
    }

    fn claims(&mut self, now: Mono) -> Vec<ClaimRequest> {
        let asking = self.lanes.values_mut().filter(|lane| lane.has_to_ask(now));
        asking
            .map(|lane| {
                lane.look = false;
                lane.next_due = None;
                ClaimRequest {
                    endpoint: lane.endpoint.name.clone(),
                    limit: lane.room(),
                    lease: lane.endpoint.timeout * 3,
                    longest_wait: lane.endpoint.policy.longest_wait(),
                }
            })
            .collect()
    }

    fn wake_at(&self) -> Option<Mono> {
        if self.exchanging {
            return None;
        }
        if self.stopping {
            return (!self.records.is_empty()).then_some(self.not_before);
        }
        let due = self.lanes.values().filter(|lane| lane.room() > 0).filter_map(|lane| lane.next_due);
        let waiting = !self.records.is_empty() || self.lanes.values().any(|lane| lane.look && lane.room() > 0);
        let next = due.chain(waiting.then_some(self.not_before)).chain([self.look_at]).min();
        next.map(|next| next.max(self.not_before))
    }

    fn is_finished(&self) -> bool {
        let idle = self.lanes.values().all(|lane| lane.in_flight.is_empty());
        let recorded = self.records.is_empty() && self.recording.is_empty();
        // Once all was abandoned, a store that fails is no reason to wait: its leases end with the process.
        self.stopping && idle && !self.exchanging && (recorded || (self.abandoned && self.failures > 0))
    }
}

fn release(delivery: DeliveryId, claim: i64) -> Record {
    Record { delivery, claim, attempt: None, then: Then::Release }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventId, EventType};

    fn name() -> EndpointName {
        EndpointName::parse("ops").unwrap()
    }

    fn core(concurrency: usize) -> Core {
        let hour = Duration::from_secs(3600);
        let endpoint =
            Endpoint { name: name(), policy: Policy::new(hour), timeout: Duration::from_secs(15), concurrency };
        Core::new([endpoint], Random::with_seed(1))
    }

    fn now(seconds: u64) -> Now {
        Now { mono: Duration::ZERO, wall: Timestamp::UNIX_EPOCH }.after(Duration::from_secs(seconds))
    }

    fn claimed(delivery: i64) -> Claimed {
        Claimed {
            delivery: DeliveryId(delivery),
            claim: 1,
            event: EventId::parse("evt_a").unwrap(),
            event_type: EventType::WebhookTest,
            conference: None,
            time: Timestamp::UNIX_EPOCH,
            body: "{}".into(),
            previous: None,
            attempts: 0,
            rejections: 0,
            owed_at: Timestamp::UNIX_EPOCH,
            tried_since: Timestamp::UNIX_EPOCH,
            others_wait: false,
        }
    }

    fn reply(deliveries: &[i64], next_due: Option<u64>) -> Input {
        let claimed = deliveries.iter().map(|delivery| claimed(*delivery)).collect();
        let next_due = next_due.map(|due| now(due).wall);
        let endpoints = vec![EndpointReply { endpoint: name(), enabled: true, claimed, next_due }];
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
            Command::Send { .. } | Command::Note(_) => None,
        })
    }

    #[test]
    fn it_claims_as_much_as_there_is_room_for() {
        let mut core = core(3);
        assert_eq!(exchange(core.step(now(0), Input::Tick)).unwrap().claims[0].limit, 3);
        assert!(exchange(core.step(now(0), reply(&[1, 2], None))).is_none());
        let request = exchange(core.step(now(1), Input::Woken)).unwrap();
        assert_eq!((request.claims[0].limit, request.in_flight), (1, vec![DeliveryId(1), DeliveryId(2)]));
        core.step(now(1), reply(&[3], None));
        assert!(exchange(core.step(now(2), Input::Woken)).is_none(), "no room");
        let request = exchange(core.step(now(3), sent(2))).unwrap();
        assert_eq!((request.claims[0].limit, request.records.len()), (1, 1));
    }

    #[test]
    fn one_round_is_under_way_at_a_time_and_the_next_takes_along_what_came_meanwhile() {
        let mut core = core(3);
        core.step(now(0), Input::Tick);
        core.step(now(0), reply(&[1, 2, 3], None));
        assert!(exchange(core.step(now(1), sent(1))).is_some());
        assert!(exchange(core.step(now(1), sent(2))).is_none());
        assert!(exchange(core.step(now(1), sent(3))).is_none());
        let request = exchange(core.step(now(2), reply(&[], None))).unwrap();
        assert_eq!((request.records.len(), request.claims[0].limit), (2, 3));
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
