//! Runs one history in virtual time: the real scheduler reads a simulated world, and its commits go to a real store.
//!
//! The simulation is a queue of steps by time. Incidents (crashes, clock jumps, lost commits) interrupt it; after the
//! configured length every meeting ends, and the simulation continues until all of it was read and delivered.

mod compare;
mod incidents;
mod reload;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::fixtures::Fixtures;
use super::google::{ReadInProgress, ReadProgress, latency};
use super::history::{History, HistoryError, HistoryOptions};
use super::journal::Journal;
use super::receivers::Receivers;
use super::scenario::Scenario;
use crate::backoff::Random;
use crate::clock::{Mono, Now, elapsed, saturating_add};
use crate::meet::{Answer, ReadError, Reading};
use crate::model::{ConferenceName, IdentityName};
use crate::sim::api::{ApiSettings, SimApi};
use crate::sim::faults::Faults;
use crate::sim::world::World;
use crate::store::{Commit, Db, StoredConference, WriteError};
use crate::watch::{Scheduler, SchedulerCommand, SchedulerInput, WorkKey};

/// How long after the last incident the simulation waits until the daemon has read everything.
const MAX_WAIT: Duration = Duration::from_secs(4 * 3600);
/// The same if Google denies a conference: the daemon gives it up after a day.
const MAX_WAIT_WITH_DENIALS: Duration = Duration::from_secs(26 * 3600);
/// The same for the deliveries: a receiver may take hours for its backlog.
const MAX_WAIT_FOR_DELIVERIES: Duration = Duration::from_secs(12 * 3600);
/// How long after the last incident unknown conferences may still be found.
const SETTLING: Duration = Duration::from_secs(900);
/// The resolution of `Date`.
const SECOND: Duration = Duration::from_secs(1);
/// After this time enough answers arrived to outvote one wrong `Date`.
const CLOCKS_COMPARED_WITHIN: Duration = Duration::from_secs(60);
/// How often the simulation checks whether it is over.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// The start of every history.
const BEGINNING: &str = "2026-01-05T09:00:00Z";

/// A history while it runs.
pub(super) struct Simulation {
    options: HistoryOptions,
    scenario: Scenario,
    fixtures: Fixtures,
    api: SimApi,
    /// The faults of reads about a conference that has ended.
    faults_after_end: Faults,
    db: Db,
    scheduler: Scheduler,
    receivers: Option<Receivers>,
    random: Random,
    mono: Mono,
    /// The difference of the wall clock from Google's.
    skew: SignedDuration,
    queue: BTreeMap<(Mono, u64), SimulationStep>,
    queued: u64,
    history: History,
    journal: Journal,
    begun: Timestamp,
    jump_at: Option<Mono>,
    crash_at: Option<Mono>,
    reload_at: Option<Mono>,
    deny_at: Option<Mono>,
    denied: BTreeSet<ConferenceName>,
    /// When the daemon did not run, by Google's clock.
    down: Vec<(Timestamp, Timestamp)>,
    /// Until then every `Date` is correct: a process believes the first ones, and those after its clock was set.
    dates_correct_until: Mono,
    /// From when on there are no more incidents.
    quiet_from: Mono,
    winding_down: bool,
    /// When the simulation last checked whether it is over.
    checked_at: Mono,
}

/// A step of the simulation.
enum SimulationStep {
    Read(WorkKey, IdentityName, Box<ReadInProgress>),
    Answer(WorkKey, Box<Result<Reading, ReadError>>),
    Commit(WorkKey, Box<Commit>),
    Committed(WorkKey, bool),
    /// The store reports that a commit contradicts it.
    Contradicted(WorkKey),
}

/// The result of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CommitResult {
    Stored,
    Failed,
    Contradicts,
}

impl Simulation {
    pub(super) fn new(options: HistoryOptions) -> Result<Self, HistoryError> {
        let begun: Timestamp = BEGINNING.parse().map_err(|_| HistoryError::Setup("the beginning".to_owned()))?;
        let mut random = Random::with_seed(options.seed ^ 0x9e37_79b9_7f4a_7c15);
        let scenario =
            Scenario::draw(&options, begun, &mut random).map_err(|error| HistoryError::Setup(error.to_string()))?;
        let mut world = World::new(scenario.world.clone());
        world.step(saturating_add(begun, scenario.late));
        incidents::schedule(&scenario, &options, &mut world, &mut random);
        let fixtures = Fixtures::new(&scenario, &world, &mut random)?;
        let (mut faults, mut faults_after_end) = (Faults::seeded(options.seed), Faults::seeded(!options.seed));
        for (rule, always) in &scenario.rules {
            faults.add(rule.clone());
            if *always {
                faults_after_end.add(rule.clone());
            }
        }
        let settings = ApiSettings {
            seed: options.seed,
            max_page: Some(scenario.max_page),
            strangers: scenario.strangers,
            ..ApiSettings::default()
        };
        let api = SimApi::new(world, faults, settings);
        let mut db = Db::in_memory(begun).map_err(|error| HistoryError::Store(error.to_string()))?;
        let wall = saturating_add(begun, scenario.late);
        let now = Now { mono: scenario.late, wall: wall.saturating_add(scenario.skew).unwrap_or(wall) };
        let seed = scenario.delivers.then(|| random.u64(..));
        let receivers = seed.map(|seed| Receivers::new(&mut db, seed, options.length, now)).transpose()?;
        let routes = receivers.iter().flat_map(Receivers::routes).collect();
        let scheduler = fixtures.scheduler(&db, routes, options.seed, now)?;
        let lasting = scenario.rules.iter().filter_map(|(rule, _)| rule.until).map(|until| elapsed(begun, until));
        let planned = scenario.outage.map(|(_, to)| to).into_iter().chain(scenario.hides.last().map(|(_, to)| *to));
        let slept = scenario.sleeps.map(|(at, length)| at + length);
        let quiet_from = lasting.chain(planned).chain(slept).chain([options.length]).max();
        let mut simulation = Self {
            api,
            faults_after_end,
            db,
            scheduler,
            receivers,
            mono: scenario.late,
            skew: scenario.skew,
            queue: BTreeMap::new(),
            queued: 0,
            history: History { circumstances: scenario.to_string(), ..History::default() },
            journal: Journal::new(options.journal),
            begun,
            jump_at: None,
            crash_at: None,
            reload_at: None,
            deny_at: scenario.expires.map(|_| scenario.late + Duration::from_secs(random.u64(60..3000))),
            denied: BTreeSet::new(),
            down: Vec::new(),
            dates_correct_until: scenario.late + CLOCKS_COMPARED_WITHIN,
            quiet_from: quiet_from.unwrap_or(options.length),
            winding_down: false,
            checked_at: Mono::ZERO,
            options,
            scenario,
            fixtures,
            random,
        };
        simulation.plan_crash();
        simulation.plan_jump();
        simulation.plan_reload();
        Ok(simulation)
    }

    fn google(&self) -> Timestamp {
        saturating_add(self.begun, self.mono)
    }

    fn now(&self) -> Now {
        let google = self.google();
        Now { mono: self.mono, wall: google.saturating_add(self.skew).unwrap_or(google) }
    }

    pub(super) fn run(&mut self) -> Result<(), HistoryError> {
        self.step(SchedulerInput::Tick);
        loop {
            if self.mono >= self.options.length && !self.winding_down {
                self.wind_down();
            }
            if self.check_finished() {
                return Ok(());
            }
            self.mono = self.mono.max(self.next());
            if self.crash_at.is_some_and(|crash| crash <= self.mono) {
                self.crash()?;
                continue;
            }
            self.apply_incidents();
            self.sleep();
            self.reload()?;
            if let Some(receivers) = &mut self.receivers
                && receivers.next().is_some_and(|at| at <= self.mono)
            {
                let now = Now { mono: self.mono, wall: saturating_add(self.begun, self.mono) };
                receivers.proceed(&mut self.db, now);
                continue;
            }
            match self.queue.first_entry() {
                Some(entry) if entry.key().0 <= self.mono => {
                    let step = entry.remove();
                    self.execute(step);
                }
                _ => self.step(SchedulerInput::Tick),
            }
        }
    }

    /// Returns when the next step or incident is due.
    fn next(&self) -> Mono {
        let length = (!self.winding_down).then_some(self.options.length);
        let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
        let receivers = self.receivers.as_ref().and_then(Receivers::next);
        let sleep = self.scenario.sleeps.map(|(at, _)| at);
        let all =
            [queued, self.scheduler.next_wake(), receivers, length, self.crash_at, self.jump_at, self.deny_at, sleep];
        all.into_iter().flatten().min().unwrap_or(self.mono + Duration::from_secs(60))
    }

    fn check_finished(&mut self) -> bool {
        if !self.winding_down || self.crash_at.is_some_and(|crash| crash <= self.quiet_from) {
            return false;
        }
        // Querying the store at every step would be slow.
        if self.mono < self.checked_at + CHECK_INTERVAL {
            return false;
        }
        self.checked_at = self.mono;
        let max_wait = if self.denied.is_empty() { MAX_WAIT } else { MAX_WAIT_WITH_DENIALS };
        let read = self.scheduler.conferences().is_empty()
            && self.mono > self.quiet_from + SETTLING
            && self.has_read_the_ended();
        let delivered = self.receivers.is_none()
            || self.db.outbox_summary().is_ok_and(|all| all.iter().all(|one| one.pending == 0));
        let max_wait = if delivered { max_wait } else { max_wait.max(MAX_WAIT_FOR_DELIVERIES) };
        (read && delivered) || self.mono > self.quiet_from + max_wait
    }

    /// Returns whether the organizer's list of ended conferences was read after the last incident.
    fn has_read_the_ended(&self) -> bool {
        let quiet = saturating_add(self.begun, self.quiet_from);
        let listing = self.fixtures.targets_that_list_the_ended();
        let mut targets = self.db.targets().unwrap_or_default().into_iter().filter(|row| listing.contains(&&row.name));
        targets.all(|row| row.discovered_to.is_some_and(|to| to >= quiet))
    }

    fn wind_down(&mut self) {
        self.winding_down = true;
        let google = self.google();
        self.api.world.step(google);
        self.api.world.end_all(google);
        (self.jump_at, self.deny_at) = (None, None);
        if let Some(receivers) = &mut self.receivers {
            receivers.calm_down(self.mono);
        }
        self.journal.note(google, None, || "every meeting ends".to_owned());
    }

    fn count(&mut self, fault: &'static str) {
        *self.history.faults.entry(fault).or_default() += 1;
    }

    fn execute(&mut self, step: SimulationStep) {
        match step {
            SimulationStep::Read(key, identity, read) => {
                let google = self.google();
                let over = read.is_about_the_past(&mut self.api, google);
                if over {
                    std::mem::swap(&mut self.api.faults, &mut self.faults_after_end);
                }
                let caller = self.fixtures.caller(&identity);
                let listing = read.lists_the_active();
                let dated = self.mono < self.dates_correct_until;
                let mut progress = read.proceed(&mut self.api, caller, self.mono, google, dated, &mut self.random);
                if over {
                    std::mem::swap(&mut self.api.faults, &mut self.faults_after_end);
                }
                if let ReadProgress::Done(Ok(reading), _) = &progress
                    && reading.google_time.is_some_and(|date| elapsed(date, google).max(elapsed(google, date)) > SECOND)
                {
                    // Only one of the next answers may be wrong, so that it is outvoted.
                    self.dates_correct_until = self.mono + CLOCKS_COMPARED_WITHIN;
                }
                if let (true, ReadProgress::Done(Ok(reading), _)) = (listing, &mut progress) {
                    self.hide_participants(reading);
                }
                match progress {
                    ReadProgress::Later(read, at) => self.push(at, SimulationStep::Read(key, identity, Box::new(read))),
                    ReadProgress::Done(result, late) => {
                        self.push(self.mono + late, SimulationStep::Answer(key, Box::new(result)));
                    }
                }
            }
            SimulationStep::Answer(key, result) => {
                self.journal.note(self.google(), Some(&key), || match &*result {
                    Ok(reading) => format!("answered: {}", short(&reading.answer)),
                    Err(error) => format!("failed: {}", error.reason),
                });
                self.step(SchedulerInput::Answered(key, *result));
            }
            SimulationStep::Commit(key, commit) => {
                let chance = self.random.f64();
                let outcome = if chance < self.scenario.failing_commits {
                    self.count("commit");
                    self.journal.note(self.google(), Some(&key), || "a commit fails".to_owned());
                    SimulationStep::Committed(key, false)
                } else {
                    let lost = chance < self.scenario.failing_commits * 1.5;
                    match self.commit(*commit) {
                        CommitResult::Stored if lost => {
                            self.count("commit-unheard");
                            self.journal.note(self.google(), Some(&key), || "a commit's answer is lost".to_owned());
                            SimulationStep::Committed(key, false)
                        }
                        CommitResult::Contradicts => SimulationStep::Contradicted(key),
                        result => SimulationStep::Committed(key, result == CommitResult::Stored),
                    }
                };
                self.push(self.mono + Duration::from_millis(1), outcome);
            }
            SimulationStep::Contradicted(key) => {
                let all = self.db.load_unfinished().unwrap_or_default();
                let about = |stored: &StoredConference| WorkKey::Conference(stored.conference.name.clone()) == key;
                let stored = all.into_iter().find(about).map(Box::new);
                self.step(SchedulerInput::Contradicted(key, stored));
            }
            SimulationStep::Committed(key, well) => self.step(SchedulerInput::Committed(key, well)),
        }
    }

    fn commit(&mut self, commit: Commit) -> CommitResult {
        let now = Now { mono: self.mono, wall: self.google() };
        let result = self.db.write(commit, now.wall);
        if let Some(receivers) = &mut self.receivers {
            receivers.wake(&mut self.db, now);
        }
        match result {
            Ok(()) => CommitResult::Stored,
            // Expected after a commit whose answer was lost, and only then.
            Err(WriteError::Duplicate(_) | WriteError::Invariant(_))
                if self.history.faults.contains_key("commit-unheard") =>
            {
                CommitResult::Contradicts
            }
            Err(error) => {
                self.history.disagreements.push(format!("{}: a commit failed: {error}", self.google()));
                CommitResult::Failed
            }
        }
    }

    fn step(&mut self, input: SchedulerInput) {
        for command in self.scheduler.step(self.now(), input) {
            match command {
                SchedulerCommand::Read { key, identity, read, .. } => {
                    self.history.reads += 1;
                    self.journal.note(self.google(), Some(&key), || format!("{identity} reads {read:?}"));
                    let at = self.mono + latency(&mut self.random);
                    self.push(at, SimulationStep::Read(key, identity, Box::new(ReadInProgress::new(read))));
                }
                SchedulerCommand::Commit { key, commit } => {
                    let at = self.mono + Duration::from_millis(self.random.u64(1..30));
                    self.push(at, SimulationStep::Commit(key, commit));
                }
            }
        }
    }

    fn push(&mut self, at: Mono, step: SimulationStep) {
        self.queued += 1;
        self.queue.insert((at, self.queued), step);
    }
}

/// Returns the first 600 characters of an answer.
fn short(answer: &Answer) -> String {
    let text = format!("{answer:?}");
    let cut = text.char_indices().nth(600).map_or(text.len(), |(at, _)| at);
    text[..cut].to_owned()
}
