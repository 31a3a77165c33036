//! One endpoint's side of the dispatcher: what is claimed, what is being sent, and whether anything may be sent at all.
//! Endpoints share nothing, so none can cost another anything.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::breaker::Breaker;
use super::decide::{self, Attempt, Verdict};
use super::endpoint::Endpoint;
use super::outcome::Reason;
use super::pace::Pace;
use super::ready::{Key, Ready, release};
use super::step::{Note, Sent};
use crate::clock::{Mono, Now, elapsed};
use crate::model::EndpointName;
use crate::store::{
    AttemptRecord, AttemptResult, AttemptRow, ClaimRequest, Claimed, DeliveryId, EndpointReply, LaneId, Pick,
    StoredBreaker as Noted,
};

/// For each delivery that may be sent at once, so many are held ready: sending need not wait for the disk.
const READY_FOR_EACH: usize = 128;

/// The same where a delivery is a batch.
const BATCHES_FOR_EACH: usize = 2;

/// No endpoint holds more than this ready.
const READY_AT_MOST: usize = 1024;

/// Nor does it claim more while this many bytes of events are ready, which bounds what it costs in memory; the outbox bounds
/// the bytes of each claim.
const READY_BYTES: usize = 4 << 20;

/// How many of one conference are claimed at once.
const RUN: usize = 128;

/// A delivery that is being sent.
#[derive(Debug)]
struct Sending {
    claim: i64,
    key: Key,
    lane: LaneId,
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
    /// Claimed and not sent yet.
    ready: Ready,
    /// Something may be due that was not asked for yet.
    look: bool,
    /// The endpoint may have been switched off meanwhile: the outbox is asked even if nothing more can be held ready.
    glance: bool,
    next_due: Option<Mono>,
    /// The outbox had nothing to probe with.
    barren: bool,
    breaker: Breaker,
    pace: Option<Pace>,
    /// No longer configured: what is being sent finishes, and nothing follows.
    retired: bool,
    /// The outbox is being asked at this moment.
    asked: bool,
    /// What the outbox hands out this time goes back: it was asked for under other settings, or before the trouble.
    returns_next: bool,
}

/// What came of an attempt.
pub(super) struct Decided {
    pub(super) records: Vec<AttemptRecord>,
    pub(super) note: Note,
    /// The breaker opened, or closed.
    pub(super) turned: Option<Noted>,
}

impl Queue {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            sending: BTreeMap::new(),
            ready: Ready::default(),
            look: true,
            glance: false,
            next_due: None,
            barren: false,
            breaker: Breaker::default(),
            pace: None,
            retired: false,
            asked: false,
            returns_next: false,
        }
    }

    /// Goes on under other settings. Returns what goes back to the outbox. One that is in trouble is probed at once, for that
    /// may be what the change is about.
    pub(super) fn change(&mut self, endpoint: Endpoint, now: Mono) -> Vec<AttemptRecord> {
        // What was claimed in one way cannot be sent in another.
        let reordered = (self.endpoint.ordered, self.endpoint.batched) != (endpoint.ordered, endpoint.batched);
        (self.endpoint, self.retired, self.pace) = (endpoint, false, None);
        self.breaker.hurry(now);
        self.look();
        if !reordered {
            return Vec::new();
        }
        self.give_back()
    }

    /// Begins nothing any more. Returns what goes back to the outbox.
    pub(super) fn retire(&mut self) -> Vec<AttemptRecord> {
        self.retired = true;
        self.give_back()
    }

    /// Gives back what is not being sent, and whatever the outbox is handing out at this moment.
    fn give_back(&mut self) -> Vec<AttemptRecord> {
        self.returns_next |= self.asked;
        self.release_waiting()
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired
    }

    /// The round with the outbox is over. Returns what goes back.
    pub(super) fn end_of_round(&mut self) -> Vec<AttemptRecord> {
        self.asked = false;
        if std::mem::take(&mut self.returns_next) { self.release_waiting() } else { Vec::new() }
    }

    pub(super) fn name(&self) -> &EndpointName {
        &self.endpoint.name
    }

    pub(super) fn look(&mut self) {
        self.look = true;
        self.glance = true;
        self.barren = false;
    }

    pub(super) fn is_idle(&self) -> bool {
        self.sending.is_empty() && self.ready.count() == 0
    }

    pub(super) fn breaker(&mut self) -> &mut Breaker {
        &mut self.breaker
    }

    /// Everything that is claimed.
    pub(super) fn held(&self) -> impl Iterator<Item = DeliveryId> + '_ {
        self.sending.keys().copied().chain(self.ready.deliveries())
    }

    fn most_ready(&self) -> usize {
        let each = if self.endpoint.batched { BATCHES_FOR_EACH } else { READY_FOR_EACH };
        (self.endpoint.concurrency * each).min(READY_AT_MOST).max(self.endpoint.concurrency)
    }

    fn has_room(&self) -> bool {
        self.ready.count() <= self.most_ready() / 2 && self.ready.bytes() <= READY_BYTES
    }

    /// What is to be asked of the outbox now.
    pub(super) fn ask(&mut self, now: Mono) -> Option<ClaimRequest> {
        if self.retired {
            return None;
        }
        let pick = if self.breaker.is_open() { self.ask_for_probe(now)? } else { self.ask_for_due(now)? };
        self.look = false;
        self.glance = false;
        self.next_due = None;
        self.asked = true;
        Some(ClaimRequest {
            endpoint: self.endpoint.name.clone(),
            pick,
            lease: self.endpoint.timeout * 3,
            longest_wait: self.endpoint.policy.longest_wait(),
        })
    }

    fn ask_for_due(&self, now: Mono) -> Option<Pick> {
        let due = self.look || self.next_due.is_some_and(|due| due <= now);
        let limit = if due && self.has_room() { self.most_ready() - self.ready.count() } else { 0 };
        (limit > 0 || self.glance).then_some(Pick::Due { limit, run: RUN })
    }

    fn ask_for_probe(&self, now: Mono) -> Option<Pick> {
        if !self.is_idle() {
            return None;
        }
        let window = self.endpoint.policy.window;
        if self.probe_due().is_some_and(|due| due <= now) {
            return Some(Pick::Probe { not_of: Vec::new(), window });
        }
        let not_of = self.breaker.others_than(now).filter(|_| self.look)?;
        Some(Pick::Probe { not_of, window })
    }

    /// When to probe, unless the outbox has said that it has nothing to probe with.
    fn probe_due(&self) -> Option<Mono> {
        let due = self.breaker.probe_at()?;
        if self.barren { self.next_due.map(|next| next.max(due)) } else { Some(due) }
    }

    /// Takes what the outbox handed out. `None` leaves open whether the breaker has turned.
    pub(super) fn claimed(&mut self, now: Now, reply: EndpointReply) -> Option<Noted> {
        let news = self.breaker.adopt(reply.breaker, now).then_some(reply.breaker);
        // What was claimed before an operator switched it off is not sent any more either.
        self.returns_next |= !reply.enabled;
        self.next_due = reply.next_due.map(|due| now.mono + elapsed(now.wall, due));
        if news.is_some() {
            self.pace = None;
            self.look = true;
        }
        if self.breaker.state() == Noted::Draining && reply.claimed.is_empty() && self.is_idle() {
            let more = self.next_due.is_some_and(|due| due <= now.mono);
            if reply.enabled && !more && news.is_none() {
                self.breaker.drained();
                self.pace = None;
            }
        }
        self.barren = reply.claimed.is_empty() && self.breaker.probe_at().is_some_and(|due| due <= now.mono);
        for claimed in reply.claimed {
            self.put(claimed);
        }
        news
    }

    fn put(&mut self, claimed: Claimed) {
        let key = if self.endpoint.ordered { Key::Lane(claimed.lane) } else { Key::Alone(claimed.delivery) };
        let busy = self.sending.values().any(|sending| sending.key == key);
        self.ready.put(key, claimed, busy);
    }

    /// The next to be sent now, if any may be.
    pub(super) fn next(&mut self, now: Mono) -> Option<Claimed> {
        if self.sending.len() >= self.endpoint.concurrency || !self.ready.has_next() || self.retired {
            return None;
        }
        if self.breaker.state() == Noted::Draining {
            let rate = self.endpoint.drain_per_second;
            if !self.pace.get_or_insert_with(|| Pace::new(rate, now)).take(now) {
                return None;
            }
        }
        let (key, claimed) = self.ready.take()?;
        let sending = Sending {
            claim: claimed.claim,
            key,
            lane: claimed.lane,
            attempts: claimed.attempts,
            failures: claimed.failures,
            rejections: claimed.rejections,
            owed_at: claimed.owed_at,
            tried_since: claimed.tried_since,
            others_wait: claimed.others_wait,
            events: 1 + claimed.batch.as_ref().map_or(0, |others| others.len() as u64),
        };
        let doubled = self.sending.insert(claimed.delivery, sending);
        debug_assert!(doubled.is_none(), "the outbox handed out what is being sent");
        Some(claimed)
    }

    /// Decides about an attempt that ended. `jitter` lies between -1 and 1.
    pub(super) fn sent(&mut self, now: Now, sent: Sent, jitter: f64) -> Option<Decided> {
        let sending = self.sending.remove(&sent.delivery)?;
        let outcome = sent.reply.outcome;
        let in_trouble = self.breaker.is_open();
        let attempt = Attempt {
            failures: sending.failures,
            rejections: sending.rejections,
            owed_at: sending.owed_at,
            tried_since: sending.tried_since.unwrap_or(sent.began_at),
            // While the endpoint is in trouble it is not this delivery that holds others back.
            others_wait: sending.others_wait && self.endpoint.ordered && !in_trouble,
        };
        let policy = &self.endpoint.policy;
        let verdict = decide::decide(&attempt, &outcome, policy, now.wall, jitter);
        let hold_until = decide::hold_until(&attempt, policy);
        let asked = decide::asked_wait(&outcome, policy);
        let turned = match outcome.reason() {
            None => self.breaker.succeeded(),
            Some(reason) => self.breaker.failed(sending.lane, reason, asked, now, jitter),
        };
        let result = match verdict {
            Verdict::Done => AttemptResult::Done,
            Verdict::Dead { reason } => AttemptResult::Dead { reason: reason.as_str() },
            Verdict::EndpointOff { reason } => AttemptResult::EndpointOff { reason: reason.as_str() },
            Verdict::Retry { at, reason } => AttemptResult::Retry {
                at,
                hold_until,
                // A probe is made for the endpoint's sake and costs the delivery none of its attempts.
                failures: sending.failures + u32::from(!in_trouble),
                rejections: if reason == Reason::Rejected { sending.rejections + 1 } else { 0 },
            },
        };
        let row = AttemptRow {
            began_at: sent.began_at,
            duration: sent.took,
            status: outcome.status(),
            reason: outcome.reason().map(Reason::as_str),
            answer: sent.reply.answer,
        };
        let goes_on = matches!(result, AttemptResult::Done | AttemptResult::Dead { .. });
        let mut records =
            vec![AttemptRecord { delivery: sent.delivery, claim: sending.claim, attempt: Some(row), result }];
        records.extend(self.go_on(sending.key, goes_on));
        if self.breaker.is_open() || matches!(verdict, Verdict::EndpointOff { .. }) {
            self.pace = None;
            records.extend(self.give_back());
        }
        let note = Note {
            endpoint: sent.endpoint,
            delivery: sent.delivery,
            attempt: sending.attempts + 1,
            took: sent.took,
            events: sending.events,
            outcome,
            verdict,
        };
        Some(Decided { records, note, turned: turned.then(|| self.breaker.state()) })
    }

    /// Lets the next of a run have its turn, or gives the run back.
    fn go_on(&mut self, key: Key, goes_on: bool) -> Vec<AttemptRecord> {
        if goes_on && self.ready.go_on(key) {
            self.look |= self.has_room();
            return Vec::new();
        }
        self.look = true;
        self.ready.drop_run(key)
    }

    /// Gives back what is not being sent.
    pub(super) fn release_waiting(&mut self) -> Vec<AttemptRecord> {
        self.ready.clear()
    }

    /// Gives back everything.
    pub(super) fn release_all(&mut self) -> Vec<AttemptRecord> {
        let sending = std::mem::take(&mut self.sending);
        let mut records: Vec<_> =
            sending.into_iter().map(|(delivery, sending)| release(delivery, sending.claim)).collect();
        records.extend(self.release_waiting());
        records
    }

    /// When to be asked again, if nothing happens before. `not_before` is when the outbox may be asked.
    pub(super) fn wake_at(&self, not_before: Mono) -> Option<Mono> {
        if self.retired {
            return None;
        }
        if self.breaker.is_open() {
            return self.probe_due().filter(|_| self.is_idle()).map(|due| due.max(not_before));
        }
        let paced = self.pace.filter(|_| self.ready.has_next() && self.sending.len() < self.endpoint.concurrency);
        let asks = (self.look && self.has_room()).then_some(not_before);
        let due = self.next_due.filter(|_| self.has_room()).map(|due| due.max(not_before));
        [paced.map(|pace| pace.next()), asks, due].into_iter().flatten().min()
    }
}
