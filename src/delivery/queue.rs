//! The dispatcher's state of one endpoint: what is claimed, what is being sent, and whether anything may be sent now.
//! Endpoints share no state, so none can delay another.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::breaker::Breaker;
use super::decide::{self, Attempt};
use super::endpoint::Endpoint;
use super::endpoint_health::{EndedAttempt, EndpointHealth};
use super::ready::{ReadyRuns, RunKey, release};
use super::reason::FailureReason;
use super::report::{AttemptReport, EndpointReport, FinishedAttempt};
use crate::clock::{Mono, Now, elapsed};
use crate::model::EndpointName;
use crate::store::{
    AttemptRecord, AttemptResult, AttemptRow, ClaimRequest, Claimed, DeliveryId, EndpointReply, LaneId, Pick,
    StoredBreaker,
};

/// How many deliveries are held ready for each that may be sent at once, so that sending need not wait for the disk.
const READY_FOR_EACH: usize = 128;

/// The same if a delivery is a batch.
const BATCHES_FOR_EACH: usize = 2;

/// The limit of deliveries that an endpoint holds ready.
const READY_AT_MOST: usize = 1024;

/// An endpoint claims no more while this many bytes of events are ready. That bounds its memory, as the outbox bounds the bytes
/// of each claim.
const READY_BYTES: usize = 4 << 20;

/// How many deliveries of one lane are claimed at once.
const RUN: usize = 128;

/// A delivery that is being sent.
#[derive(Debug)]
struct Sending {
    claim: i64,
    run: RunKey,
    lane: LaneId,
    began: Mono,
    /// How many attempts were recorded before.
    attempts: u32,
    failures: u32,
    rejections: u32,
    owed_at: Timestamp,
    tried_since: Option<Timestamp>,
    others_wait: bool,
    events: u64,
}

/// One endpoint's queue.
#[derive(Debug)]
pub(super) struct Queue {
    endpoint: Endpoint,
    sending: BTreeMap<DeliveryId, Sending>,
    /// Claimed, and not sent yet.
    ready: ReadyRuns,
    /// Deliveries may be due that were not claimed yet.
    may_be_due: bool,
    /// The endpoint may have been switched off: the outbox is asked even if nothing more can be held ready.
    check_enabled: bool,
    next_due: Option<Mono>,
    /// The outbox had no delivery to probe with.
    no_probe: bool,
    health: EndpointHealth,
    /// No longer configured: what is being sent finishes, and nothing else is sent.
    retired: bool,
    /// A claim of this endpoint is in flight.
    claiming: bool,
    /// What the claim in flight brings is released: it was made under other settings, or before the breaker opened.
    release_next: bool,
}

/// What follows from an attempt.
pub(super) struct Decided {
    pub(super) records: Vec<AttemptRecord>,
    pub(super) report: AttemptReport,
    /// What is to be told of the endpoint.
    pub(super) endpoint: Vec<EndpointReport>,
}

impl Queue {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self {
            health: EndpointHealth::new(&endpoint),
            endpoint,
            sending: BTreeMap::new(),
            ready: ReadyRuns::default(),
            may_be_due: true,
            check_enabled: false,
            next_due: None,
            no_probe: false,
            retired: false,
            claiming: false,
            release_next: false,
        }
    }

    /// Changes the settings. Returns the records of what is released. If the breaker is open, the endpoint is probed at once,
    /// because the change may be what repairs it.
    pub(super) fn change(&mut self, endpoint: Endpoint, now: Mono) -> Vec<AttemptRecord> {
        // What was claimed under one order or grouping cannot be sent under another.
        let reordered = (self.endpoint.ordered, self.endpoint.batched) != (endpoint.ordered, endpoint.batched);
        (self.endpoint, self.retired) = (endpoint, false);
        self.health.breaker.probe_now(now);
        self.health.limit_pace(&self.endpoint);
        self.look_for_due();
        if !reordered {
            return Vec::new();
        }
        self.release_unsent()
    }

    /// Sends nothing more. Returns the records of what is released.
    pub(super) fn retire(&mut self) -> Vec<AttemptRecord> {
        self.retired = true;
        self.release_unsent()
    }

    /// Releases what is not being sent, and what the claim in flight brings.
    pub(super) fn release_unsent(&mut self) -> Vec<AttemptRecord> {
        self.release_next |= self.claiming;
        self.release_waiting()
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired
    }

    /// Ends a round with the outbox. Returns the records of what is released.
    pub(super) fn end_round(&mut self) -> Vec<AttemptRecord> {
        self.claiming = false;
        if std::mem::take(&mut self.release_next) { self.release_waiting() } else { Vec::new() }
    }

    /// Notes that the outbox failed: what was due could not be sent, so the time shows nothing of the endpoint.
    pub(super) fn exchange_failed(&mut self) {
        self.health.breaker.saved(false);
        self.health.pace.idle();
    }

    pub(super) fn name(&self) -> &EndpointName {
        &self.endpoint.name
    }

    /// Makes the next round claim, because deliveries may be due.
    pub(super) fn look_for_due(&mut self) {
        self.may_be_due = true;
        self.check_enabled = true;
        self.no_probe = false;
    }

    pub(super) fn is_idle(&self) -> bool {
        self.sending.is_empty() && self.ready.count() == 0
    }

    pub(super) fn breaker(&mut self) -> &mut Breaker {
        &mut self.health.breaker
    }

    /// Returns every claimed delivery.
    pub(super) fn held(&self) -> impl Iterator<Item = DeliveryId> + '_ {
        self.sending.keys().copied().chain(self.ready.deliveries())
    }

    fn ready_limit(&self) -> usize {
        let each = if self.endpoint.batched { BATCHES_FOR_EACH } else { READY_FOR_EACH };
        let at_once = usize::try_from(self.endpoint.concurrency).unwrap_or(READY_AT_MOST);
        (at_once * each).min(READY_AT_MOST).max(at_once)
    }

    fn has_capacity(&self) -> bool {
        self.ready.count() <= self.ready_limit() / 2 && self.ready.bytes() <= READY_BYTES
    }

    /// Returns what to claim now.
    pub(super) fn next_claim(&mut self, now: Mono) -> Option<ClaimRequest> {
        if self.retired {
            return None;
        }
        let pick = if self.health.breaker.is_open() { self.pick_probe(now)? } else { self.pick_due(now)? };
        self.may_be_due = false;
        self.check_enabled = false;
        self.next_due = None;
        self.claiming = true;
        Some(ClaimRequest {
            endpoint: self.endpoint.name.clone(),
            pick,
            lease: self.endpoint.timeout * 3,
            longest_wait: self.endpoint.policy.longest_wait(),
        })
    }

    fn pick_due(&self, now: Mono) -> Option<Pick> {
        let due = self.may_be_due || self.next_due.is_some_and(|due| due <= now);
        let limit = if due && self.has_capacity() { self.ready_limit() - self.ready.count() } else { 0 };
        (limit > 0 || self.check_enabled).then_some(Pick::Due { limit, run: RUN })
    }

    fn pick_probe(&self, now: Mono) -> Option<Pick> {
        if !self.is_idle() {
            return None;
        }
        let window = self.endpoint.policy.window;
        if self.probe_due().is_some_and(|due| due <= now) {
            return Some(Pick::Probe { not_of: Vec::new(), window });
        }
        let not_of = self.health.breaker.early_probe_not_of(now).filter(|_| self.may_be_due)?;
        Some(Pick::Probe { not_of, window })
    }

    /// Returns when to probe; if the outbox had no delivery to probe with, not before one is due.
    fn probe_due(&self) -> Option<Mono> {
        let due = self.health.breaker.probe_at()?;
        if self.no_probe { self.next_due.map(|next| next.max(due)) } else { Some(due) }
    }

    /// Takes what a claim brought. Returns the stored state of the breaker if an operator, or a start, changed it.
    pub(super) fn claimed(&mut self, now: Now, reply: EndpointReply) -> Option<EndpointReport> {
        let adopted = self.health.breaker.adopt(reply.breaker, now).then_some(reply.breaker);
        // What was claimed before an operator switched the endpoint off is not sent either.
        self.release_next |= !reply.enabled;
        self.next_due = reply.next_due.map(|due| now.mono + elapsed(now.wall, due));
        self.may_be_due |= adopted.is_some();
        let is_empty = reply.claimed.is_empty() && self.ready.count() == 0;
        if is_empty && self.next_due.is_none_or(|due| due > now.mono) {
            self.health.pace.idle();
        }
        if self.health.breaker.state() == StoredBreaker::Draining && reply.claimed.is_empty() && self.is_idle() {
            let more = self.next_due.is_some_and(|due| due <= now.mono);
            if reply.enabled && !more && adopted.is_none() {
                self.health.breaker.drained();
            }
        }
        self.no_probe = reply.claimed.is_empty() && self.health.breaker.probe_at().is_some_and(|due| due <= now.mono);
        for claimed in reply.claimed {
            self.put(claimed);
        }
        self.health.limit_pace(&self.endpoint);
        adopted.and_then(|breaker| self.health.told.breaker(&self.endpoint.name, breaker, None, now.mono))
    }

    fn put(&mut self, claimed: Claimed) {
        let run = if self.endpoint.ordered { RunKey::Lane(claimed.lane) } else { RunKey::Single(claimed.delivery) };
        let busy = self.sending.values().any(|sending| sending.run == run);
        self.ready.put(run, claimed, busy);
    }

    /// Returns the next delivery to send, if one may be sent now.
    pub(super) fn next(&mut self, now: Mono) -> Option<Claimed> {
        if !self.ready.has_next() || self.retired {
            return None;
        }
        // A probe is sent when the breaker says so, whatever the pace was before.
        let may_begin = if self.health.breaker.is_open() {
            self.sending.is_empty()
        } else {
            self.health.pace.begin(self.sending.len(), now)
        };
        if !may_begin {
            return None;
        }
        let (run, claimed) = self.ready.take()?;
        let sending = Sending {
            claim: claimed.claim,
            run,
            lane: claimed.lane,
            began: now,
            attempts: claimed.attempts,
            failures: claimed.failures,
            rejections: claimed.rejections,
            owed_at: claimed.owed_at,
            tried_since: claimed.tried_since,
            others_wait: claimed.others_wait,
            events: 1 + claimed.batch.as_ref().map_or(0, |others| others.len() as u64),
        };
        let doubled = self.sending.insert(claimed.delivery, sending);
        debug_assert!(doubled.is_none(), "the outbox returned a delivery that is being sent");
        Some(claimed)
    }

    /// Decides about a finished attempt. `jitter` is between -1 and 1.
    pub(super) fn finished(&mut self, now: Now, finished: FinishedAttempt, jitter: f64) -> Option<Decided> {
        let sending = self.sending.remove(&finished.delivery)?;
        let FinishedAttempt { endpoint, delivery, began_at, took, reply } = finished;
        let outcome = reply.outcome;
        let ended = EndedAttempt {
            delivery,
            run: sending.run,
            lane: sending.lane,
            outcome: &outcome,
            began: sending.began,
            own_failures: sending.failures,
        };
        let learned = self.health.learn(&self.endpoint, &ended, now, jitter);
        let attempt = Attempt {
            failures: sending.failures,
            rejections: sending.rejections,
            owed_at: sending.owed_at,
            tried_since: sending.tried_since.unwrap_or(began_at),
            // While the breaker is open, it is the endpoint that holds the others back.
            others_wait: sending.others_wait && self.endpoint.ordered && !learned.was_open,
            endpoint_fails: learned.endpoint_fails,
            is_suspect: learned.is_suspect,
        };
        let result = decide::decide(&attempt, &outcome, &self.endpoint.policy, now.wall, jitter);
        let reason = outcome.reason().map(FailureReason::as_str);
        let row = AttemptRow { began_at, duration: took, status: reply.status, reason, answer: reply.answer };
        let ended = matches!(result, AttemptResult::Done | AttemptResult::Dead { .. });
        let record = AttemptRecord { delivery, claim: sending.claim, attempt: Some(row), result: result.clone() };
        let mut records = vec![record];
        records.extend(self.resume(sending.run, ended));
        if self.health.breaker.is_open() || matches!(result, AttemptResult::EndpointOff { .. }) {
            records.extend(self.release_unsent());
        }
        let report = AttemptReport {
            endpoint,
            delivery,
            attempt: sending.attempts + 1,
            took,
            events: sending.events,
            outcome,
            result,
            goes_on: learned.goes_on,
            pace: self.health.pace_report(),
        };
        Some(Decided { records, report, endpoint: learned.reports })
    }

    /// Lets the next delivery of a run be sent if the one before it has ended, or releases the run.
    fn resume(&mut self, run: RunKey, ended: bool) -> Vec<AttemptRecord> {
        if ended && self.ready.resume(run) {
            self.may_be_due |= self.has_capacity();
            return Vec::new();
        }
        self.may_be_due = true;
        self.ready.drop_run(run)
    }

    /// Releases what is not being sent.
    pub(super) fn release_waiting(&mut self) -> Vec<AttemptRecord> {
        self.ready.clear()
    }

    /// Releases everything.
    pub(super) fn release_all(&mut self) -> Vec<AttemptRecord> {
        let sending = std::mem::take(&mut self.sending);
        let mut records: Vec<_> =
            sending.into_iter().map(|(delivery, sending)| release(delivery, sending.claim)).collect();
        records.extend(self.release_waiting());
        records
    }

    /// Returns when to step again if nothing happens before. `not_before` is when the next round with the outbox may begin.
    pub(super) fn wake_at(&self, not_before: Mono) -> Option<Mono> {
        if self.retired {
            return None;
        }
        if self.health.breaker.is_open() {
            return self.probe_due().filter(|_| self.is_idle()).map(|due| due.max(not_before));
        }
        let paced = self.ready.has_next().then(|| self.health.pace.next(self.sending.len())).flatten();
        let claims = (self.may_be_due && self.has_capacity()).then_some(not_before);
        let due = self.next_due.filter(|_| self.has_capacity()).map(|due| due.max(not_before));
        [paced, claims, due].into_iter().flatten().min()
    }
}
