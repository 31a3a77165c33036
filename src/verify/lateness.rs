//! How late joins and leaves are reported under a quota: the real schedule and rosters in virtual time, on meetings in which
//! people come and go, beside what a naive poller would do and the least that the quota allows.

mod answers;
mod figures;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use prometheus::{IntCounterVec, Opts, Registry};

use self::answers::answer;
pub use self::figures::{Delays, LatenessReport};
use super::history::HistoryError;
use crate::backoff::{Backoff, Random};
use crate::clock::{Mono, Now, saturating_add};
use crate::meet::{ParticipantFilter, Read, ReadError, Reading, Reason};
use crate::model::{EventType, IdentityName, TargetName};
use crate::sim::world::{Action, PersonKey, SimPerson, World};
use crate::status::StatusBoard;
use crate::watch::{
    Memory, Scheduler, SchedulerCommand, SchedulerInput, Setup, TargetSelector, TargetSettings, WatchIdentity,
    WatchMetrics, WatchSettings, WorkKey,
};

/// The start of every measurement.
const BEGINNING: Timestamp = Timestamp::constant(1_767_603_600, 0);
/// How long Google takes to answer, and how long a commit takes.
const LATENCY: Duration = Duration::from_millis(150);
const COMMIT: Duration = Duration::from_millis(5);
const MINUTE: Duration = Duration::from_secs(60);

/// The meetings and the quota of a measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatenessOptions {
    pub seed: u64,
    /// How many meetings are held at once, each with so many people at most.
    pub meetings: usize,
    pub people: usize,
    /// By how many organizers they are held, each of them watched.
    pub organizers: usize,
    /// The reads a minute that each identity, and all of them together, may make.
    pub identity_limit: f64,
    pub project_limit: f64,
    /// How long people stay and how long until another one comes, on average.
    pub stay: Duration,
    pub away: Duration,
    /// How long is not measured at first, and how long is measured.
    pub warm_up: Duration,
    pub measured: Duration,
    /// When all meetings begin; at the beginning if it is zero.
    pub meetings_begin: Duration,
    /// Within which time they begin.
    pub within: Duration,
}

impl LatenessOptions {
    /// Returns so many lively meetings of ten of one organizer with the default quota, of which four fifths are spent.
    #[must_use]
    pub const fn of_one_user(meetings: usize) -> Self {
        Self {
            seed: 7,
            meetings,
            people: 10,
            organizers: 1,
            identity_limit: 480.0,
            project_limit: 4800.0,
            stay: Duration::from_secs(1200),
            away: Duration::from_secs(120),
            warm_up: Duration::from_secs(1800),
            measured: Duration::from_secs(3600),
            meetings_begin: Duration::ZERO,
            within: Duration::ZERO,
        }
    }

    /// Returns a project of so many organizers, of whom some begin a meeting within one minute.
    #[must_use]
    pub const fn of_a_project(organizers: usize, meetings: usize) -> Self {
        Self {
            organizers,
            warm_up: Duration::from_secs(600),
            meetings_begin: Duration::from_secs(660),
            within: MINUTE,
            measured: Duration::from_secs(900),
            ..Self::of_one_user(meetings)
        }
    }

    const fn total(&self) -> Duration {
        self.warm_up.saturating_add(self.measured)
    }
}

/// Runs a measurement.
///
/// # Errors
/// [`HistoryError`] if it could not be set up.
pub fn run(options: LatenessOptions) -> Result<LatenessReport, HistoryError> {
    let mut measurement = Measurement::new(options)?;
    measurement.step(SchedulerInput::Tick);
    measurement.go_on(options.total() + TAIL);
    Ok(measurement.report)
}

/// How long after the measured time events are still waited for.
const TAIL: Duration = Duration::from_secs(1200);

struct Measurement {
    options: LatenessOptions,
    world: World,
    organizers: BTreeMap<IdentityName, PersonKey>,
    scheduler: Scheduler,
    mono: Mono,
    queue: BTreeMap<(Mono, u64), Happening>,
    queued: u64,
    /// When the requests of the last minute were sent, in all.
    sent: VecDeque<Mono>,
    report: LatenessReport,
}

enum Happening {
    Answer(WorkKey, IdentityName, Read),
    Committed(WorkKey),
}

fn broken(error: impl std::fmt::Display) -> HistoryError {
    HistoryError::Setup(error.to_string())
}

impl Measurement {
    fn new(options: LatenessOptions) -> Result<Self, HistoryError> {
        let (world, organizers, report) = populate(options)?;
        let targets = organizers.keys().map(|identity| {
            Ok(TargetSettings {
                name: TargetName::parse(identity.as_str()).map_err(broken)?,
                identity: identity.clone(),
                selector: TargetSelector::Organizer,
                poll_interval: Duration::from_secs(10),
            })
        });
        let setup = Setup {
            settings: WatchSettings::default(),
            targets: targets.collect::<Result<_, HistoryError>>()?,
            identities: organizers
                .keys()
                .map(|name| WatchIdentity { name: name.clone(), looks_up: false, budget: options.identity_limit })
                .collect(),
            routes: Vec::new(),
            internal_domains: Vec::new(),
            project_budget: options.project_limit,
        };
        let limit = IntCounterVec::new(Opts::new("limit", "limit"), &["limit"]).map_err(broken)?;
        let metrics = WatchMetrics::new(&Registry::new(), limit).map_err(broken)?;
        let backoff = Backoff::new(Duration::from_secs(5), 2.0, Duration::from_secs(120), 0.2).map_err(broken)?;
        let now = Now { mono: Mono::ZERO, wall: BEGINNING };
        let random = Random::with_seed(options.seed);
        let scheduler = Scheduler::new(setup, Memory::default(), backoff, random, metrics, StatusBoard::default(), now);
        Ok(Self {
            options,
            world,
            organizers,
            scheduler,
            mono: Mono::ZERO,
            queue: BTreeMap::new(),
            queued: 0,
            sent: VecDeque::new(),
            report,
        })
    }

    fn google(&self) -> Timestamp {
        saturating_add(BEGINNING, self.mono)
    }

    fn is_measured(&self, at: Timestamp) -> bool {
        let from = saturating_add(BEGINNING, self.options.warm_up);
        (from..saturating_add(BEGINNING, self.options.total())).contains(&at)
    }

    fn go_on(&mut self, until: Mono) {
        loop {
            let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
            let next = [queued, self.scheduler.next_wake()].into_iter().flatten().min().unwrap_or(until);
            if next > until {
                return;
            }
            self.mono = self.mono.max(next);
            match self.queue.first_entry() {
                Some(entry) if entry.key().0 <= self.mono => {
                    let happening = entry.remove();
                    self.happen(happening);
                }
                _ => self.step(SchedulerInput::Tick),
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        let (key, identity, read) = match happening {
            Happening::Committed(key) => return self.step(SchedulerInput::Committed(key, true)),
            Happening::Answer(key, identity, read) => (key, identity, read),
        };
        let google = self.google();
        self.world.step(google);
        let organizer = self.organizers.get(&identity).copied();
        let answered = organizer.and_then(|organizer| answer(&self.world, organizer, &read));
        let result = match answered {
            Some((answer, requests)) => {
                self.sent.extend(std::iter::repeat_n(self.mono, requests.saturating_sub(1) as usize));
                let google_time = Timestamp::from_second(google.as_second()).ok();
                Ok(Reading::whole(answer, google_time, requests))
            }
            None => Err(super::google::failure(Reason::NotFound, None)),
        };
        let result: Result<Reading, ReadError> = result;
        self.step(SchedulerInput::Answered(key, result));
    }

    fn step(&mut self, input: SchedulerInput) {
        let now = Now { mono: self.mono, wall: self.google() };
        for command in self.scheduler.step(now, input) {
            match command {
                SchedulerCommand::Read { key, identity, read, .. } => {
                    self.count(&key, &read);
                    self.push(self.mono + LATENCY, Happening::Answer(key, identity, read));
                }
                SchedulerCommand::Commit { key, commit } => {
                    let told_at = saturating_add(BEGINNING, self.mono + COMMIT);
                    for event in &commit.events {
                        if self.is_measured(event.time) {
                            let is_new = event.takes_back.is_none();
                            self.report.note(event.event, is_new, event.time, told_at);
                        }
                        if event.event == EventType::WatchGap && self.mono >= self.options.warm_up {
                            self.report.gaps += 1;
                        }
                    }
                    self.push(self.mono + COMMIT, Happening::Committed(key));
                }
            }
        }
    }

    fn count(&mut self, key: &WorkKey, read: &Read) {
        self.sent.push_back(self.mono);
        while self.sent.front().is_some_and(|at| *at + MINUTE <= self.mono) {
            self.sent.pop_front();
        }
        self.report.most_in_a_minute = self.report.most_in_a_minute.max(self.sent.len() as u64);
        if (self.options.warm_up..self.options.total()).contains(&self.mono) {
            *self.report.reads.entry(class(key, read)).or_default() += 1;
        }
    }

    fn push(&mut self, at: Mono, happening: Happening) {
        self.queued += 1;
        self.queue.insert((at, self.queued), happening);
    }
}

const fn class(key: &WorkKey, read: &Read) -> &'static str {
    match (key, read) {
        (WorkKey::Target(_), _) => "discovery",
        (_, Read::Participants(_, ParticipantFilter::Active | ParticipantFilter::All)) => "listing",
        (_, Read::Participants(..)) => "backfill",
        (_, Read::Sessions(..)) => "sessions",
        (_, Read::Conference(_)) => "record",
        _ => "other",
    }
}

/// Creates the organizers and their meetings, in which people come and go all the time. Returns also a report that knows what
/// will happen in the measured time.
fn populate(
    options: LatenessOptions,
) -> Result<(World, BTreeMap<IdentityName, PersonKey>, LatenessReport), HistoryError> {
    let mut random = Random::with_seed(options.seed ^ 0x51ed);
    let mut world = World::empty(options.seed, BEGINNING);
    let mut report = LatenessReport::of(options);
    let mut organizers = BTreeMap::new();
    let mut keys = Vec::new();
    for number in 0..options.organizers.max(1) {
        let name = format!("organizer{number}");
        let person = world.add_person(SimPerson::signed_in(&name, &format!("{name}@example.com")));
        organizers.insert(IdentityName::parse(&name).map_err(broken)?, person);
        keys.push(person);
    }
    for meeting in 0..options.meetings {
        // Spread evenly over the organizers.
        let organizer = keys[meeting * keys.len() / options.meetings.max(1)];
        let space = world.add_space(Some(organizer)).map_err(broken)?;
        let spread = if options.within.is_zero() { 0.0 } else { random.f64() * options.within.as_secs_f64() };
        let begins = options.meetings_begin + Duration::from_secs_f64(spread);
        let at = |after: f64| saturating_add(BEGINNING, begins + Duration::from_secs_f64(after));
        world.schedule(at(0.0), space, Action::Start);
        world.schedule(at(0.0), space, Action::Join(organizer, "room".into()));
        report.happens(EventType::ConferenceStarted, at(0.0));
        let total = (options.total() + TAIL).saturating_sub(begins).as_secs_f64();
        for seat in 1..options.people {
            seat_people(&mut world, &mut report, &mut random, options, (meeting, seat), total, &at, space)?;
        }
    }
    world.step(BEGINNING);
    Ok((world, organizers, report))
}

/// Lets one person after another come to a seat of a meeting and leave it, in its stationary state from the beginning.
#[expect(clippy::too_many_arguments, reason = "the parts of one plan")]
fn seat_people(
    world: &mut World,
    report: &mut LatenessReport,
    random: &mut Random,
    options: LatenessOptions,
    (meeting, seat): (usize, usize),
    total: f64,
    at: &impl Fn(f64) -> Timestamp,
    space: crate::sim::world::SpaceKey,
) -> Result<(), HistoryError> {
    let (stay, away) = (options.stay.as_secs_f64(), options.away.as_secs_f64());
    let is_there = random.f64() < stay / (stay + away);
    let mut exponential = |mean: f64| -mean * (1.0 - random.f64()).ln();
    let mut comes = if is_there { 0.1 } else { exponential(away) };
    for visit in 0.. {
        if comes >= total {
            break;
        }
        let name = format!("p{meeting}.{seat}.{visit}");
        let person = world.add_person(SimPerson::signed_in(&name, &format!("{name}@example.com")));
        let leaves = comes + exponential(stay).max(1.0);
        world.schedule(at(comes), space, Action::Join(person, "laptop".into()));
        report.happens(EventType::ParticipantJoined, at(comes));
        if leaves < total {
            world.schedule(at(leaves), space, Action::Leave(person, "laptop".into()));
            report.happens(EventType::ParticipantLeft, at(leaves));
        }
        comes = leaves + exponential(away).max(1.0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A short measurement, so that it can be part of every test run.
    fn measured(meetings: usize) -> LatenessReport {
        let options = LatenessOptions::of_one_user(meetings);
        let minutes = |minutes| MINUTE * minutes;
        run(LatenessOptions { warm_up: minutes(15), measured: minutes(15), ..options }).unwrap()
    }

    #[test]
    fn a_short_quota_is_kept_and_joins_and_leaves_are_never_later_than_a_naive_poller_tells_them() {
        for meetings in [60, 150] {
            let report = measured(meetings);
            let people = report.of_people();
            assert!(report.most_in_a_minute <= 480, "{meetings} meetings: {} in a minute", report.most_in_a_minute);
            assert!(people.mean() < report.naive(), "{meetings} meetings: {} s", people.mean());
            assert!(people.mean() <= report.bound() * 1.25, "{meetings} meetings: {} s", people.mean());
            assert!(people.quantile(0.99) <= people.mean() * 4.0, "{meetings} meetings");
            assert_eq!((people.told(), report.corrections), (people.happened, 0), "{meetings} meetings");
        }
    }

    #[test]
    fn a_short_budget_is_used_to_95_percent() {
        let report = measured(120);
        let reads = report.reads.values().sum::<u64>();
        assert!(reads >= 15 * 480 * 95 / 100, "{reads} reads in 15 minutes");
    }
}
