//! The deliveries of a history: the real dispatcher's steps, outbox and formats, and simulated receivers that fail at
//! times, limit what they take, answer slowly, or are down.

mod backlog;
mod behavior;
mod endpoints;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use self::backlog::{Accepted, Takes};
use self::behavior::Behavior;
use super::history::HistoryError;
use crate::backoff::Random;
use crate::clock::{Mono, Now, elapsed};
use crate::delivery::report::{AttemptReport, FinishedAttempt};
use crate::delivery::step::{Core, DispatchCommand, DispatchInput};
use crate::delivery::{Endpoint, EndpointSettings, MessageWriter, Outcome, Policy};
use crate::model::{ConferenceName, EndpointName, Event, EventId, Route};
use crate::store::{
    AdminRequest, AttemptResult, Claimed, Db, DeliveryFilter, DeliveryId, DeliveryRow, DeliveryState, LaneId,
};

/// How many attempts the dispatcher makes at once.
const CONCURRENCY: u32 = 4;

/// From so many conferences on, answers like 404 are the endpoint's trouble.
const LANES: usize = 3;

/// The longest wait of a delivery for its second and third attempt after such an answer.
const LONGEST_RETRY: Duration = Duration::from_secs(9 * 60);

/// A simulated receiver of webhooks.
#[derive(Debug)]
struct SimulatedReceiver {
    settings: EndpointSettings,
    writer: MessageWriter,
    /// The events it accepted, in the order of arrival, repetitions included.
    taken: BTreeMap<Option<ConferenceName>, Vec<EventId>>,
    /// The body of the first message with each id.
    bytes: BTreeMap<Box<str>, Vec<u8>>,
    behavior: Behavior,
    accepted: Vec<Accepted>,
    /// The conferences that were tried since the last success or start of the process.
    tried: BTreeSet<LaneId>,
    /// Until then a delivery may wait for its own retry: what answers like 404 to fewer than three conferences mean.
    retried_until: Mono,
    /// The events whose deliveries were given up for a reason that is their own.
    given_up: BTreeSet<EventId>,
}

/// The simulated receivers, and the dispatcher that delivers to them.
#[derive(Debug)]
pub(super) struct Receivers {
    receivers: BTreeMap<EndpointName, SimulatedReceiver>,
    core: Core,
    random: Random,
    /// Until then the process was restarted or suspended, or the outbox failed at times.
    undisturbed_from: Mono,
    sending: BTreeMap<(Mono, DeliveryId), (EndpointName, Claimed)>,
    wake_at: Option<Mono>,
    /// Violations seen while messages arrived.
    wrong: BTreeSet<String>,
    pub deliveries: u64,
    /// Whether flaky receivers and the outbox fail at times.
    failing: bool,
}

impl Receivers {
    /// Draws the behavior of the receivers from `seed`. `length`: how long meetings are held.
    pub(super) fn new(db: &mut Db, seed: u64, length: Duration, now: Now) -> Result<Self, HistoryError> {
        let mut random = Random::with_seed(seed);
        let mut receivers = BTreeMap::new();
        for settings in endpoints::settings()? {
            let writer = MessageWriter::new(&settings).map_err(|error| HistoryError::Setup(error.to_string()))?;
            let receiver = SimulatedReceiver {
                writer,
                taken: BTreeMap::new(),
                bytes: BTreeMap::new(),
                behavior: Behavior::draw(length, &mut random),
                accepted: Vec::new(),
                tried: BTreeSet::new(),
                retried_until: Mono::ZERO,
                given_up: BTreeSet::new(),
                settings,
            };
            receivers.insert(receiver.settings.name.clone(), receiver);
        }
        let core = core(&receivers, random.u64(..));
        let receivers = Self {
            receivers,
            core,
            random,
            undisturbed_from: Mono::ZERO,
            sending: BTreeMap::new(),
            wake_at: Some(Mono::ZERO),
            wrong: BTreeSet::new(),
            deliveries: 0,
            failing: true,
        };
        let configs = receivers.receivers.values().map(|receiver| receiver.settings.store_config()).collect();
        db.write(AdminRequest::Configure(configs), now.wall).map_err(|error| HistoryError::Store(error.to_string()))?;
        Ok(receivers)
    }

    /// Returns the routes of all receivers.
    pub(super) fn routes(&self) -> Vec<Route> {
        self.receivers.values().map(|receiver| receiver.settings.route.clone()).collect()
    }

    /// Returns when the next step is due.
    pub(super) fn next(&self) -> Option<Mono> {
        self.sending.keys().next().map(|(ends, _)| *ends).into_iter().chain(self.wake_at).min()
    }

    /// Performs the step that is due.
    pub(super) fn proceed(&mut self, db: &mut Db, now: Now) {
        let Some(((ends, _), _)) = self.sending.first_key_value() else {
            self.step(db, now, DispatchInput::Tick);
            return;
        };
        if *ends > now.mono {
            self.step(db, now, DispatchInput::Tick);
            return;
        }
        let Some(((_, delivery), (endpoint, claimed))) = self.sending.pop_first() else { return };
        self.deliveries += 1;
        let Some(receiver) = self.receivers.get_mut(&endpoint) else { return };
        let arrival = receiver.behavior.answer(claimed.attempts, self.failing, now.mono, &mut self.random);
        self.wrong.extend(receiver.arrives(&claimed, arrival.takes));
        receiver.note(&claimed, arrival.reply.outcome == Outcome::Accepted, now);
        let (began_at, took, reply) = (now.wall, Duration::from_secs(1), arrival.reply);
        let finished = FinishedAttempt { endpoint: endpoint.clone(), delivery, began_at, took, reply };
        let reports = self.step(db, now, DispatchInput::Finished(finished));
        let Some(receiver) = self.receivers.get_mut(&endpoint) else { return };
        self.wrong.extend(reports.iter().filter_map(|report| receiver.judge_end(&claimed, report, now.mono)));
    }

    /// Notifies the dispatcher of a commit.
    pub(super) fn wake(&mut self, db: &mut Db, now: Now) {
        self.step(db, now, DispatchInput::Woken);
    }

    /// Replaces the dispatcher, as after a crash: the new one starts from the outbox.
    pub(super) fn die(&mut self, started_at: Mono) {
        self.sending.clear();
        self.receivers.values_mut().for_each(|receiver| receiver.tried.clear());
        self.disturb(started_at);
        self.core = core(&self.receivers, self.random.u64(..));
        self.wake_at = Some(Mono::ZERO);
    }

    /// Notes that the process was interrupted until then: a backlog may have waited for it.
    pub(super) fn disturb(&mut self, until: Mono) {
        self.undisturbed_from = self.undisturbed_from.max(until);
    }

    /// Ends the failures of flaky receivers and of the outbox. The limits of receivers hold on.
    pub(super) fn calm_down(&mut self, now: Mono) {
        self.failing = false;
        self.disturb(now);
    }

    /// Returns a name for each kind of trouble that receivers make.
    pub(super) fn troubles(&self) -> impl Iterator<Item = &'static str> {
        self.receivers.values().flat_map(|receiver| receiver.behavior.troubles())
    }

    fn latency(&mut self, endpoint: &EndpointName, now: Mono) -> Duration {
        let behavior = self.receivers.get(endpoint).map(|receiver| &receiver.behavior);
        let fixed = behavior.filter(|behavior| !behavior.is_out(now)).and_then(Behavior::latency);
        fixed.unwrap_or_else(|| Duration::from_millis(self.random.u64(1..5_000)))
    }

    /// Steps the dispatcher and performs its commands. Returns its reports about attempts.
    fn step(&mut self, db: &mut Db, now: Now, input: DispatchInput) -> Vec<AttemptReport> {
        let mut reports = Vec::new();
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let step = self.core.step(now, input);
            self.wake_at = step.wake_at;
            for command in step.commands {
                match command {
                    DispatchCommand::Exchange(_) if self.failing && self.random.u8(0..50) == 0 => {
                        inputs.push(DispatchInput::ExchangeFailed);
                    }
                    DispatchCommand::Exchange(request) => {
                        let reply = db.write(request, now.wall);
                        inputs.push(reply.map_or(DispatchInput::ExchangeFailed, DispatchInput::Exchanged));
                    }
                    DispatchCommand::Send { endpoint, claimed } => {
                        let ends = now.mono + self.latency(&endpoint, now.mono);
                        self.sending.insert((ends, claimed.delivery), (endpoint, *claimed));
                    }
                    DispatchCommand::ReportAttempt(report) => reports.push(report),
                    DispatchCommand::ReportEndpoint(_) | DispatchCommand::Forget(_) => {}
                }
            }
        }
        reports
    }

    /// Returns which events are missing at a receiver, were accepted out of order, or should not have been delivered, and
    /// which backlogs took too long.
    pub(super) fn compare(&self, db: &Db, log: &[Event]) -> Result<Vec<String>, HistoryError> {
        let mut wrong: Vec<String> = self.wrong.iter().cloned().collect();
        for receiver in self.receivers.values() {
            let settled = settled(db, &receiver.settings.name)?;
            wrong.extend(receiver.compare(log, &settled));
            wrong.extend(receiver.too_slow(self.undisturbed_from));
        }
        Ok(wrong)
    }
}

fn events_of(claimed: &Claimed) -> impl Iterator<Item = &EventId> {
    [&claimed.event].into_iter().chain(claimed.batch.iter().flatten().map(|other| &other.event))
}

fn core(receivers: &BTreeMap<EndpointName, SimulatedReceiver>, seed: u64) -> Core {
    let policy = || Policy::new(Duration::from_secs(3 * 86_400));
    let endpoints = receivers.values().map(|receiver| Endpoint::of(&receiver.settings, policy()));
    Core::new(endpoints, Random::with_seed(seed))
}

/// Returns the events that were settled for an endpoint.
fn settled(db: &Db, endpoint: &EndpointName) -> Result<BTreeSet<EventId>, HistoryError> {
    let mut filter = DeliveryFilter {
        endpoint: Some(endpoint.clone()),
        states: vec![DeliveryState::Settled],
        limit: DeliveryFilter::MOST,
        ..DeliveryFilter::default()
    };
    let mut all = BTreeSet::new();
    loop {
        let page = db.list_deliveries(&filter).map_err(|error| HistoryError::Store(error.to_string()))?;
        all.extend(page.deliveries.into_iter().map(|row: DeliveryRow| row.event));
        match page.next {
            Some(next) => filter.before = Some(next),
            None => return Ok(all),
        }
    }
}

impl SimulatedReceiver {
    /// Notes an attempt and whether it was accepted, as far as the dispatcher knows.
    fn note(&mut self, claimed: &Claimed, is_accepted: bool, now: Now) {
        if !is_accepted {
            self.tried.insert(claimed.lane);
            if self.behavior.is_not_found(now.mono) && self.tried.len() < LANES {
                self.retried_until = now.mono + LONGEST_RETRY;
            }
            return;
        }
        self.tried.clear();
        let owed_at = now.mono.saturating_sub(elapsed(claimed.owed_at, now.wall));
        self.accepted.push(Accepted { lane: claimed.lane, owed_at, accepted_at: now.mono });
    }

    /// Judges the end of a delivery. No simulated delivery is at fault for a failure, so none may be given up; except that
    /// answers like 404 are the delivery's own fault as long as they came to fewer than three conferences.
    fn judge_end(&mut self, claimed: &Claimed, report: &AttemptReport, now: Mono) -> Option<String> {
        let AttemptResult::Dead { reason } = report.result else { return None };
        self.given_up.extend(events_of(claimed).cloned());
        let is_its_own = self.behavior.is_not_found(now) && self.tried.len() < LANES;
        (!is_its_own).then(|| format!("{}: {} was given up: {reason}", self.settings.name, claimed.event))
    }

    /// Returns what took too long from `from` on, when nothing but the receiver's own limits held it up.
    fn too_slow(&self, from: Mono) -> Vec<String> {
        let takes = match (self.behavior.capacity(), self.behavior.latency()) {
            (Some(capacity), _) => Takes::PerSecond(capacity),
            (None, Some(latency)) => Takes::AtOnce(CONCURRENCY, latency),
            (None, None) => return Vec::new(),
        };
        // What gathers or settles waits on purpose.
        if self.settings.batching.is_some() || !self.settings.settle.is_zero() {
            return Vec::new();
        }
        let from = from.max(self.retried_until);
        let well_from = self.behavior.outage.map_or(from, |outage| outage.until.max(from));
        let wrong = backlog::too_slow(&self.accepted, takes, well_from).into_iter();
        wrong.map(|wrong| format!("{}: {wrong}", self.settings.name)).collect()
    }

    /// A message arrives and is accepted if `takes`. Returns what is wrong with it.
    fn arrives(&mut self, claimed: &Claimed, takes: bool) -> Option<String> {
        let name = &self.settings.name;
        let events: Vec<&EventId> = events_of(claimed).collect();
        let Ok(message) = self.writer.message(claimed) else {
            return Some(format!("{name}: {} cannot be formatted", claimed.event));
        };
        let first = self.bytes.entry(message.id.clone()).or_insert_with(|| message.body.bytes.clone());
        if *first != message.body.bytes {
            return Some(format!("{name}: the body of {} changed between attempts", message.id));
        }
        let body = serde_json::from_slice(&message.body.bytes).unwrap_or(Value::Null);
        let matches = match self.settings.format.name() {
            "standard" => body["data"]["id"] == events[0].as_str() && events.len() == 1,
            "cloudevents" => body.as_array().is_some_and(|all| {
                let ids = all.iter().map(|one| one["id"].as_str().unwrap_or_default());
                ids.eq(events.iter().map(|event| event.as_str()))
            }),
            "template" => body["id"] == events[0].as_str() && body["text"].is_string() && events.len() == 1,
            // One line for each event, unless there are too many for a message.
            _ => body["text"].as_str().is_some_and(|text| {
                let lines = text.lines().count();
                lines == events.len() || (lines < events.len() && text.ends_with(" more"))
            }),
        };
        if !matches {
            return Some(format!("{name}: {} does not contain its {} events", message.id, events.len()));
        }
        if takes {
            self.taken.entry(claimed.conference.clone()).or_default().extend(events.into_iter().cloned());
        }
        None
    }

    /// Compares the accepted events with those that the route selects, without the settled ones.
    fn compare(&self, log: &[Event], settled: &BTreeSet<EventId>) -> Vec<String> {
        let mut selected: BTreeSet<&EventId> = BTreeSet::new();
        let mut expected: BTreeMap<Option<ConferenceName>, Vec<EventId>> = BTreeMap::new();
        for event in log {
            let takes_back = event.corrects.as_ref().or(event.retracts.as_ref());
            let wanted = self.settings.route.events.iter().any(|pattern| pattern.matches(event.event));
            if wanted || takes_back.is_some_and(|earlier| selected.contains(earlier)) {
                selected.insert(&event.id);
                let is_owed = !settled.contains(&event.id) && !self.given_up.contains(&event.id);
                if is_owed {
                    let conference = event.conference.as_ref().map(|conference| conference.name.clone());
                    expected.entry(conference).or_default().push(event.id.clone());
                }
            }
        }
        let mut wrong = Vec::new();
        let conferences: BTreeSet<_> = expected.keys().chain(self.taken.keys()).collect();
        for conference in conferences {
            let taken = self.taken.get(conference).map_or(&[][..], Vec::as_slice);
            let mut seen = BTreeSet::new();
            let mut first: Vec<_> = taken.iter().filter(|id| seen.insert(*id)).cloned().collect();
            let mut expected = expected.get(conference).cloned().unwrap_or_default();
            if conference.is_none() || !self.settings.ordered {
                // Events without a conference, and those of unordered receivers, have no order.
                first.sort();
                expected.sort();
            }
            if first != expected {
                let of = conference.as_ref().map_or_else(|| "no conference".to_owned(), ToString::to_string);
                let (name, count) = (&self.settings.name, first.len());
                wrong.push(format!("{name}, {of}: accepted {count} of {} events, or in another order", expected.len()));
            }
        }
        wrong
    }
}
