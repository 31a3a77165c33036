//! The dispatcher's core, without sockets, clock or store: it takes inputs and returns commands, and when to step again.
//! The same seed and the same inputs give the same commands.
//!
//! At most one round with the outbox is in flight. It records everything that finished meanwhile and claims for every
//! endpoint that has capacity, so one transaction carries more the higher the load is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::endpoint::Endpoint;
use super::queue::{Decided, Queue};
use super::report::{AttemptReport, EndpointReport, FinishedAttempt};
use crate::backoff::{Backoff, Random};
use crate::clock::{Mono, Now};
use crate::model::EndpointName;
use crate::store::{AttemptRecord, ClaimRequest, Claimed, DeliveryId, OutboxReply, OutboxRequest};

/// How often due deliveries are looked for without a wake-up.
const POLL_PERIOD: Duration = Duration::from_secs(60);

/// What happened.
#[derive(Debug)]
pub enum DispatchInput {
    /// Deliveries may be due: a commit was made, or an endpoint was switched on.
    Woken,
    /// An operator changed deliveries, or had a person forgotten: what was claimed and not sent may be out of date.
    AdminChanged,
    /// The time of [`Step::wake_at`] has come.
    Tick,
    /// The outbox replied.
    Exchanged(OutboxReply),
    /// The outbox failed: nothing was recorded and nothing was claimed.
    ExchangeFailed,
    /// An attempt ended.
    Finished(FinishedAttempt),
    /// The endpoints were replaced with these.
    Reconfigured(Vec<Endpoint>),
    /// Claim no more; what is being sent may finish.
    Stop,
    /// What was still being sent was aborted.
    Abandon,
}

/// What to do.
#[derive(Debug)]
pub enum DispatchCommand {
    /// Have a round with the outbox and return its reply.
    Exchange(OutboxRequest),
    /// Make an attempt and return its outcome.
    Send { endpoint: EndpointName, claimed: Box<Claimed> },
    /// Log and count an attempt.
    ReportAttempt(AttemptReport),
    /// Log and count a change of an endpoint.
    ReportEndpoint(EndpointReport),
    /// The endpoint is no longer configured, and nothing of it is in flight any more.
    Forget(EndpointName),
}

/// The result of a step.
#[derive(Debug, Default)]
pub struct Step {
    pub commands: Vec<DispatchCommand>,
    /// When to step again with [`DispatchInput::Tick`], if nothing else happens before.
    pub wake_at: Option<Mono>,
    /// The dispatcher was stopped, and nothing is left to do.
    pub finished: bool,
}

/// The dispatcher's core.
#[derive(Debug)]
pub struct Core {
    queues: BTreeMap<EndpointName, Queue>,
    /// Records for the next round with the outbox.
    records: Vec<AttemptRecord>,
    /// Records of the round in flight.
    recording: Vec<AttemptRecord>,
    exchanging: bool,
    /// How many rounds have failed in a row.
    failures: u32,
    /// When the next round may begin.
    not_before: Mono,
    poll_at: Mono,
    stopping: bool,
    abandoned: bool,
    random: Random,
    backoff: Backoff,
}

impl Core {
    /// Makes a dispatcher for these endpoints. Its first step claims what is due.
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
            poll_at: Mono::ZERO,
            stopping: false,
            abandoned: false,
            random,
            backoff: outbox_backoff(),
        }
    }

    /// Processes an input and returns what to do.
    pub fn step(&mut self, now: Now, input: DispatchInput) -> Step {
        let mut commands = Vec::new();
        match input {
            DispatchInput::Woken => self.look_for_due(),
            DispatchInput::AdminChanged => self.claim_anew(),
            DispatchInput::Tick => {}
            DispatchInput::Exchanged(reply) => self.exchanged(now, reply, &mut commands),
            DispatchInput::ExchangeFailed => self.exchange_failed(now),
            DispatchInput::Finished(attempt) => self.finished(now, attempt, &mut commands),
            DispatchInput::Reconfigured(endpoints) => self.reconfigure(now.mono, endpoints),
            DispatchInput::Stop => self.stop(),
            DispatchInput::Abandon => self.abandon(),
        }
        if now.mono >= self.poll_at {
            self.look_for_due();
            self.poll_at = now.mono + POLL_PERIOD;
        }
        self.send(now.mono, &mut commands);
        commands.extend(self.next_exchange(now.mono).map(DispatchCommand::Exchange));
        self.forget_retired(&mut commands);
        Step { commands, wake_at: self.wake_at(), finished: self.is_finished() }
    }

    /// Returns whether it was stopped.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Replaces the endpoints. The deliveries of a removed endpoint stay pending; what is being sent to it finishes.
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

    /// Forgets removed endpoints once nothing of them is in flight.
    fn forget_retired(&mut self, commands: &mut Vec<DispatchCommand>) {
        if self.exchanging {
            return;
        }
        for (name, _) in self.queues.extract_if(.., |_, queue| queue.is_retired() && queue.is_idle()) {
            commands.push(DispatchCommand::Forget(name));
        }
    }

    /// Releases what is not being sent, so that it is claimed again as it is now.
    fn claim_anew(&mut self) {
        for queue in self.queues.values_mut() {
            self.records.extend(queue.release_unsent());
        }
        self.look_for_due();
    }

    fn look_for_due(&mut self) {
        self.queues.values_mut().for_each(Queue::look_for_due);
    }

    fn exchanged(&mut self, now: Now, reply: OutboxReply, commands: &mut Vec<DispatchCommand>) {
        self.exchanging = false;
        self.failures = 0;
        self.recording.clear();
        self.queues.values_mut().for_each(|queue| queue.breaker().saved(true));
        for delivery in reply.stale {
            tracing::warn!(
                delivery = delivery.0,
                "the outcome of an attempt was not recorded, because its lease had ended; the delivery is sent again"
            );
        }
        for reply in reply.endpoints {
            let Some(queue) = self.queues.get_mut(&reply.endpoint) else { continue };
            let (expired, given_up) = (reply.expired, reply.buried);
            if expired + given_up > 0 {
                let skipped = EndpointReport::Skipped { endpoint: reply.endpoint.clone(), expired, given_up };
                commands.push(DispatchCommand::ReportEndpoint(skipped));
            }
            commands.extend(queue.claimed(now, reply).map(DispatchCommand::ReportEndpoint));
            if self.stopping {
                // Claimed just before the stop.
                self.records.extend(queue.release_waiting());
            }
        }
        self.end_round();
    }

    fn end_round(&mut self) {
        for queue in self.queues.values_mut() {
            self.records.extend(queue.end_round());
        }
    }

    /// Keeps the records of the failed round for the next one.
    fn exchange_failed(&mut self, now: Now) {
        self.exchanging = false;
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.mono + self.backoff.delay(self.failures, &mut self.random);
        self.recording.append(&mut self.records);
        std::mem::swap(&mut self.recording, &mut self.records);
        self.queues.values_mut().for_each(Queue::exchange_failed);
        self.end_round();
        self.look_for_due();
    }

    fn finished(&mut self, now: Now, attempt: FinishedAttempt, commands: &mut Vec<DispatchCommand>) {
        let Some(queue) = self.queues.get_mut(&attempt.endpoint) else { return };
        let jitter = self.random.f64() * 2.0 - 1.0;
        let Some(Decided { records, report, endpoint }) = queue.finished(now, attempt, jitter) else { return };
        self.records.extend(records);
        commands.push(DispatchCommand::ReportAttempt(report));
        commands.extend(endpoint.into_iter().map(DispatchCommand::ReportEndpoint));
    }

    /// Sends what may be sent now.
    fn send(&mut self, now: Mono, commands: &mut Vec<DispatchCommand>) {
        if self.stopping {
            return;
        }
        for queue in self.queues.values_mut() {
            while let Some(claimed) = queue.next(now) {
                commands.push(DispatchCommand::Send { endpoint: queue.name().clone(), claimed: Box::new(claimed) });
            }
        }
    }

    /// Releases everything that is not being sent; what is being sent may finish.
    fn stop(&mut self) {
        self.stopping = true;
        for queue in self.queues.values_mut() {
            self.records.extend(queue.release_waiting());
        }
    }

    /// Releases what was being sent. Whether it was delivered is unknown, so it is sent again.
    fn abandon(&mut self) {
        self.stopping = true;
        self.abandoned = true;
        for queue in self.queues.values_mut() {
            self.records.extend(queue.release_all());
        }
    }

    /// Returns the next round with the outbox, if there is anything to record or claim and no round is in flight.
    fn next_exchange(&mut self, now: Mono) -> Option<OutboxRequest> {
        if self.exchanging || now < self.not_before {
            return None;
        }
        let claims: Vec<ClaimRequest> = if self.stopping {
            Vec::new()
        } else {
            self.queues.values_mut().filter_map(|queue| queue.next_claim(now)).collect()
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
        // No round can begin while one is in flight, but what is held ready may have to be sent.
        let not_before = if self.exchanging { Mono::MAX } else { self.not_before };
        let queues = self.queues.values().filter_map(|queue| queue.wake_at(not_before));
        let records = (!self.records.is_empty()).then_some(not_before);
        let next = queues.chain(records).chain([self.poll_at.max(not_before)]).min();
        next.filter(|next| *next < Mono::MAX)
    }

    fn is_finished(&self) -> bool {
        let idle = self.queues.values().all(Queue::is_idle);
        let recorded = self.records.is_empty() && self.recording.is_empty();
        // After an abort, a failing store is no reason to wait: its leases end with the process.
        self.stopping && idle && !self.exchanging && (recorded || (self.abandoned && self.failures > 0))
    }
}

/// Returns the wait after a failed round.
fn outbox_backoff() -> Backoff {
    let (first, cap) = (Duration::from_millis(200), Duration::from_secs(10));
    #[expect(clippy::expect_used, reason = "the numbers above are valid")]
    Backoff::new(first, 2.0, cap, 0.2).expect("a valid back-off")
}

#[cfg(test)]
mod tests;
