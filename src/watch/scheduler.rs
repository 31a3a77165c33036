//! The schedule as a step: `step(now, input)` says what to read and what to commit, `next_wake` when to ask again.
//!
//! Keyed: a conference, a target or a look-up has at most one thing under way, so nothing is ever polled twice at once,
//! and trouble with one never slows another. No socket, no sleep and no clock in here: whole histories run through it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::lookup::Lookup;
use super::metrics::Metrics;
use super::plan::Rhythm;
use super::settings::{SWEEP_BATCH, TargetSettings, WatchSettings, What};
use super::skew::Skew;
use super::stretch::{Demand, Stretch};
use super::target::Target;
use super::watched::{Act, Surroundings, Watched};
use crate::backoff::{Backoff, Random};
use crate::clock::{Mono, Now};
use crate::meet::{Answer, Priority, Read, ReadError, Reading};
use crate::model::{ConferenceName, IdentityName, MeetingCode, Route, SpaceName, TargetName};
use crate::status::{ConferenceStatus, StatusBoard};
use crate::store::{Commit, StoredConference, TargetRow};

/// What the schedule is made from.
#[derive(Debug, Clone)]
pub struct Setup {
    pub settings: WatchSettings,
    pub targets: Vec<TargetSettings>,
    pub identities: Vec<WatchIdentity>,
    /// Which endpoint wants which event.
    pub routes: Vec<Route>,
    pub internal_domains: Vec<String>,
    /// Reads a minute that all identities may spend together.
    pub project_budget: f64,
}

/// What the schedule needs to know of an identity.
#[derive(Debug, Clone)]
pub struct WatchIdentity {
    pub name: IdentityName,
    /// Whether it looks up who signed-in participants are.
    pub looks_up: bool,
    /// Reads a minute that it may spend.
    pub budget: f64,
}

/// What the store remembers.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    pub conferences: Vec<StoredConference>,
    pub targets: Vec<TargetRow>,
    /// Those of which nothing is told any more.
    pub finished: BTreeSet<ConferenceName>,
}

/// What something under way is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Target(TargetName),
    Conference(ConferenceName),
    Lookup(IdentityName),
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// Time has passed.
    Tick,
    Answered(Key, Result<Reading, ReadError>),
    /// A commit went well, or not.
    Committed(Key, bool),
}

/// What is to be done. Its outcome comes back as an [`Input`] with the same key.
#[derive(Debug)]
pub enum Command {
    Read { key: Key, identity: IdentityName, priority: Priority, read: Read },
    Commit { key: Key, commit: Box<Commit> },
}

/// How often the plan is held against the quota.
const REPLAN_EVERY: Duration = Duration::from_secs(10);

/// Everything that is watched.
#[derive(Debug)]
pub struct Scheduler {
    setup: Setup,
    targets: BTreeMap<TargetName, Target>,
    target_reads: BTreeSet<TargetName>,
    conferences: BTreeMap<ConferenceName, Watched>,
    finished: BTreeSet<ConferenceName>,
    lookups: BTreeMap<IdentityName, Lookup>,
    nobody: Lookup,
    codes: BTreeMap<SpaceName, MeetingCode>,
    stretches: BTreeMap<IdentityName, Stretch>,
    replan_due: Mono,
    due: BTreeSet<(Mono, Key)>,
    due_of: BTreeMap<Key, Mono>,
    skew: Skew,
    backoff: Backoff,
    random: Random,
    metrics: Metrics,
    board: StatusBoard,
}

impl Scheduler {
    /// A schedule that goes on where the store left off.
    #[must_use]
    pub fn new(
        setup: Setup,
        memory: Memory,
        backoff: Backoff,
        random: Random,
        metrics: Metrics,
        board: StatusBoard,
        now: Now,
    ) -> Self {
        let mut rows: BTreeMap<_, _> = memory.targets.into_iter().map(|row| (row.name.clone(), row)).collect();
        let wait = setup.settings.lookup_wait;
        let looking = setup.identities.iter().filter(|identity| identity.looks_up);
        let lookups = looking
            .map(|identity| (identity.name.clone(), Lookup::new(setup.internal_domains.clone(), wait)))
            .collect();
        let mut scheduler = Self {
            targets: BTreeMap::new(),
            target_reads: BTreeSet::new(),
            conferences: BTreeMap::new(),
            finished: memory.finished,
            lookups,
            nobody: Lookup::new(Vec::new(), wait),
            codes: BTreeMap::new(),
            stretches: BTreeMap::new(),
            replan_due: now.mono,
            due: BTreeSet::new(),
            due_of: BTreeMap::new(),
            skew: Skew::default(),
            backoff,
            random,
            metrics,
            board,
            setup,
        };
        for settings in scheduler.setup.targets.clone() {
            let target = Target::new(settings.clone(), rows.remove(&settings.name), backoff, now.mono, now.wall);
            scheduler.targets.insert(settings.name.clone(), target);
            scheduler.wake_at(Key::Target(settings.name), now.mono);
        }
        for stored in memory.conferences {
            scheduler.restore(stored, now);
        }
        scheduler
    }

    fn restore(&mut self, stored: StoredConference, now: Now) {
        let name = stored.conference.name.clone();
        let reached = stored.conference.targets.clone();
        if let (Some(space), Some(code)) = (&stored.conference.space, &stored.conference.meeting_code) {
            self.codes.insert(space.clone(), code.clone());
        }
        let interval = reached
            .iter()
            .filter_map(|target| self.targets.get(target))
            .map(|target| target.settings.poll_interval)
            .min();
        let rhythm = self.rhythm(interval.unwrap_or(DEFAULT_INTERVAL));
        let mut watched = Watched::restored(stored, rhythm, self.backoff, &self.setup.settings, now);
        for target in reached.iter().filter_map(|target| self.targets.get(target)) {
            watched.reached_by(&target.settings.name, &target.settings.identity, target.row.watched_since);
        }
        watched.keep_viewers(|viewer| self.setup.identities.iter().any(|identity| identity.name == *viewer));
        self.conferences.insert(name.clone(), watched);
        self.wake_at(Key::Conference(name), now.mono);
    }

    /// Takes in what happened and says what is to be done.
    pub fn step(&mut self, now: Now, input: Input) -> Vec<Command> {
        let mut commands = Vec::new();
        match input {
            Input::Tick => {}
            Input::Answered(key, result) => self.answered(key, result, now, &mut commands),
            Input::Committed(key, well) => self.committed(key, well, now, &mut commands),
        }
        if self.replan_due <= now.mono {
            self.replan_due = now.mono + REPLAN_EVERY;
            self.replan();
        }
        while let Some((_, key)) = self.due.first().filter(|(at, _)| *at <= now.mono).cloned() {
            self.sleep(&key);
            self.advance(key, now, &mut commands);
        }
        commands
    }

    /// When to step next if nothing happens before.
    #[must_use]
    pub fn next_wake(&self) -> Option<Mono> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The conferences that are watched.
    #[must_use]
    pub fn conferences(&self) -> &BTreeMap<ConferenceName, Watched> {
        &self.conferences
    }

    fn advance(&mut self, key: Key, now: Now, commands: &mut Vec<Command>) {
        match key {
            Key::Target(name) => self.ask_target(&name, now, commands),
            Key::Conference(name) => self.advance_conference(&name, now, commands),
            Key::Lookup(identity) => self.ask_lookup(&identity, now, commands),
        }
    }

    fn answered(&mut self, key: Key, result: Result<Reading, ReadError>, now: Now, commands: &mut Vec<Command>) {
        if let Some(google) = result.as_ref().ok().and_then(|reading| reading.google_time) {
            self.skew.note(google, now);
            self.metrics.clock_offset.set(self.skew.offset().as_secs_f64());
        }
        match key {
            Key::Target(name) => self.target_answered(&name, result, now, commands),
            Key::Conference(name) => {
                if let Err(error) = &result {
                    self.metrics.poll_failed(error.reason);
                    tracing::warn!(conference = %name, reason = %error.reason, error = %error, remedy = error.remedy, "a poll failed");
                }
                self.with_conference(&name, now, commands, |watched, around, moment, random| {
                    watched.answered(result, around, moment, random)
                });
            }
            Key::Lookup(identity) => self.lookup_answered(identity, result, now),
        }
    }

    fn ask_target(&mut self, name: &TargetName, now: Now, commands: &mut Vec<Command>) {
        let Some(target) = self.targets.get_mut(name) else { return };
        if target.due() > now.mono {
            let due = target.due();
            return self.wake_at(Key::Target(name.clone()), due);
        }
        if !self.target_reads.insert(name.clone()) {
            return;
        }
        let (identity, read) = (target.settings.identity.clone(), target.ask(now.mono));
        commands.push(Command::Read { key: Key::Target(name.clone()), identity, priority: Priority::Record, read });
    }

    fn target_answered(
        &mut self,
        name: &TargetName,
        result: Result<Reading, ReadError>,
        now: Now,
        commands: &mut Vec<Command>,
    ) {
        self.target_reads.remove(name);
        let google = self.skew.moment(now).google;
        let Some(target) = self.targets.get_mut(name) else { return };
        match result {
            Err(error) => {
                tracing::warn!(target_name = %name, reason = %error.reason, error = %error, remedy = error.remedy, "a target could not be looked up");
                target.failed(error.reason, error.retry_after, now.mono, &mut self.random);
            }
            Ok(reading) => {
                let found =
                    target.answer(reading.answer, google, self.setup.settings.discovery, now.mono, &mut self.random);
                self.board.write().targets.entry(name.clone()).or_default().last_discovery = Some(now.wall);
                if let Some((space, code)) = found.code {
                    self.codes.insert(space, code);
                }
                for conference in found.conferences {
                    self.found(name, conference.name, conference.record, found.blind, now);
                }
                for vanished in found.vanished {
                    if let Some(watched) = self.conferences.get_mut(&vanished) {
                        watched.vanished(now.mono);
                        self.wake_at(Key::Conference(vanished), now.mono);
                    }
                }
                self.remember(name, google, commands);
            }
        }
        if let Some(due) = self.targets.get(name).map(Target::due) {
            self.wake_at(Key::Target(name.clone()), due);
        }
    }

    /// Writes down what a target remembers, if that has aged, and tells the gap that it had.
    fn remember(&mut self, name: &TargetName, google: Timestamp, commands: &mut Vec<Command>) {
        let accounted = self.conferences.values().any(|watched| watched.targets().any(|target| target == name));
        let Some(target) = self.targets.get_mut(name) else { return };
        match target.remember(accounted, &self.setup.routes, google) {
            Ok(Some(commit)) => {
                commands.push(Command::Commit { key: Key::Target(name.clone()), commit: Box::new(commit) });
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(target_name = %name, %error, "a gap is not told; this is a defect, please report it");
            }
        }
    }

    fn found(
        &mut self,
        target: &TargetName,
        name: ConferenceName,
        record: Option<crate::model::Conference>,
        blind: Option<(Timestamp, Timestamp)>,
        now: Now,
    ) {
        let Some(settings) = self.targets.get(target).map(|target| (target.settings.clone(), target.row.watched_since))
        else {
            return;
        };
        if self.finished.contains(&name) {
            return;
        }
        let (settings, since) = settings;
        let rhythm = self.rhythm(settings.poll_interval);
        let backoff = self.backoff;
        let fresh = !self.conferences.contains_key(&name);
        let watched = self
            .conferences
            .entry(name.clone())
            .or_insert_with(|| Watched::found(name.clone(), record, rhythm, backoff, now.mono).after(blind));
        watched.reached_by(&settings.name, &settings.identity, since);
        if fresh {
            self.wake_at(Key::Conference(name), now.mono);
        }
    }

    fn advance_conference(&mut self, name: &ConferenceName, now: Now, commands: &mut Vec<Command>) {
        if self.conferences.get(name).is_some_and(Watched::is_busy) {
            return;
        }
        self.with_conference(name, now, commands, |_, _, _, _| Act::GoOn);
    }

    fn committed(&mut self, key: Key, well: bool, now: Now, commands: &mut Vec<Command>) {
        let name = match key {
            Key::Conference(name) => name,
            Key::Target(name) => {
                if let Some(told) = self.targets.get_mut(&name).and_then(|target| target.written(well)) {
                    self.metrics.told(&told.event);
                }
                return;
            }
            Key::Lookup(_) => return,
        };
        let metrics = self.metrics.clone();
        self.with_conference(&name, now, commands, |watched, around, moment, random| {
            let disagreements = |watched: &Watched| watched.roster().map_or(0, super::Roster::disagreements);
            let before = disagreements(watched);
            for told in watched.committed(well, around, moment, random) {
                metrics.told(&told.event);
            }
            metrics.disagreements.inc_by(disagreements(watched).saturating_sub(before));
            Act::GoOn
        });
    }

    /// Lets a conference act, and go on until it has to wait for something.
    fn with_conference(
        &mut self,
        name: &ConferenceName,
        now: Now,
        commands: &mut Vec<Command>,
        first: impl FnOnce(&mut Watched, &Surroundings<'_>, super::roster::Moment, &mut Random) -> Act,
    ) {
        let Some(watched) = self.conferences.get_mut(name) else { return };
        let moment = self.skew.moment(now);
        let identity = watched.identity().cloned();
        let own = identity.as_ref().and_then(|identity| self.lookups.get(identity));
        let stretch =
            identity.as_ref().and_then(|identity| self.stretches.get(identity)).copied().unwrap_or(Stretch::NONE);
        let around = Surroundings {
            settings: &self.setup.settings,
            routes: &self.setup.routes,
            stretch,
            lookup: own.unwrap_or(&self.nobody),
            looks_up: own.is_some(),
            codes: &self.codes,
        };
        let mut act = first(watched, &around, moment, &mut self.random);
        while matches!(act, Act::GoOn) && !watched.is_busy() {
            act = watched.next(&around, moment, &mut self.random);
        }
        let key = Key::Conference(name.clone());
        match act {
            Act::Read { identity, priority, read } => {
                self.metrics.polls.inc();
                commands.push(Command::Read { key, identity, priority, read });
            }
            Act::Commit(commit) => commands.push(Command::Commit { key, commit }),
            Act::WaitUntil(at) => self.wake_at(key, at),
            Act::GoOn => {}
            Act::Forget => {
                self.forget(name);
                return;
            }
        }
        self.publish(name, now);
        self.want_lookups(name, now);
    }

    fn forget(&mut self, name: &ConferenceName) {
        if let Some(watched) = self.conferences.remove(name) {
            if watched.roster().is_some_and(super::Roster::is_ended) {
                self.finished.insert(name.clone());
            }
            self.board.write().conferences.remove(name);
        }
    }

    /// Shows on the board how a conference stands.
    fn publish(&self, name: &ConferenceName, now: Now) {
        let Some(watched) = self.conferences.get(name) else { return };
        let mut board = self.board.write();
        let Some(roster) = watched.roster().filter(|_| watched.is_live()) else {
            board.conferences.remove(name);
            return;
        };
        let last_read = roster.listed().map(|listed| {
            let ago = listed.mono.map(|mono| now.mono.saturating_sub(mono));
            ago.and_then(|ago| now.wall.saturating_sub(ago).ok()).unwrap_or(listed.at)
        });
        match board.conferences.get_mut(name) {
            Some(status) if status.sequence == roster.sequence() => status.last_read = last_read,
            _ => {
                let (present, open_sessions) = roster.counts();
                let targets = watched.targets().cloned().collect();
                let start = roster.record().start;
                let status =
                    ConferenceStatus { targets, start, last_read, present, open_sessions, sequence: roster.sequence() };
                board.conferences.insert(name.clone(), status);
            }
        }
    }

    /// Asks who the newcomers are.
    fn want_lookups(&mut self, name: &ConferenceName, now: Now) {
        let Some(watched) = self.conferences.get(name) else { return };
        let Some(identity) = watched.identity() else { return };
        let (Some(roster), Some(lookup)) = (watched.roster(), self.lookups.get_mut(identity)) else { return };
        let newcomers = roster
            .attention()
            .keys()
            .filter_map(|name| roster.people().get(name))
            .filter(|person| person.email.is_none());
        for user in newcomers.filter_map(|person| person.user.as_ref()) {
            lookup.want(user, now.mono);
        }
        if let Some(due) = lookup.due() {
            let key = Key::Lookup(identity.clone());
            self.wake_at(key, due);
        }
    }

    fn ask_lookup(&mut self, identity: &IdentityName, now: Now, commands: &mut Vec<Command>) {
        let Some(lookup) = self.lookups.get_mut(identity) else { return };
        if let Some(users) = lookup.ask(now.mono) {
            let (key, read) = (Key::Lookup(identity.clone()), Read::People(users));
            commands.push(Command::Read { key, identity: identity.clone(), priority: Priority::Lookup, read });
        } else if let Some(due) = lookup.due() {
            self.wake_at(Key::Lookup(identity.clone()), due);
        }
    }

    fn lookup_answered(&mut self, identity: IdentityName, result: Result<Reading, ReadError>, now: Now) {
        let Some(lookup) = self.lookups.get_mut(&identity) else { return };
        match result {
            Ok(Reading { answer: Answer::People(people), .. }) => {
                if lookup.answered(&people, now.mono) {
                    self.metrics.limit_reached.with_label_values(&["lookup_cache"]).inc();
                }
            }
            Ok(_) => lookup.failed(None, now.mono),
            Err(error) => {
                tracing::warn!(%identity, reason = %error.reason, error = %error, remedy = error.remedy, "a look-up of who is who failed");
                lookup.failed(error.retry_after, now.mono);
            }
        }
        let due = lookup.due();
        // Whoever waited for this may go on.
        let waiting: Vec<_> = self
            .conferences
            .iter()
            .filter(|(_, watched)| watched.identity() == Some(&identity))
            .map(|(name, _)| name.clone())
            .collect();
        for name in waiting {
            self.wake_at(Key::Conference(name), now.mono);
        }
        if let Some(due) = due {
            self.wake_at(Key::Lookup(identity), due);
        }
    }

    /// Holds the plan against the quota.
    fn replan(&mut self) {
        let mut demands: BTreeMap<&IdentityName, Demand> = BTreeMap::new();
        for target in self.targets.values() {
            let asked = if matches!(target.settings.what, What::Conference(_)) { 0.0 } else { 1.0 };
            demands.entry(&target.settings.identity).or_default().fixed +=
                per_minute(self.setup.settings.discovery) + asked;
        }
        for watched in self.conferences.values().filter(|watched| watched.is_live()) {
            let (Some(identity), Some(roster)) = (watched.identity(), watched.roster()) else { continue };
            let demand = demands.entry(identity).or_default();
            demand.listing += per_minute(watched.rhythm().listing) * f64::from(roster.present() / PAGE + 1);
            demand.backfill += per_minute(self.setup.settings.backfill);
            demand.sweep +=
                per_minute(self.setup.settings.session_sweep) * f64::from(roster.present().min(SWEEP_PEOPLE));
            demand.fixed += per_minute(self.setup.settings.discovery);
        }
        let everyone: f64 =
            demands.values().map(|demand| demand.listing + demand.backfill + demand.sweep + demand.fixed).sum();
        let mut stretches = BTreeMap::new();
        for identity in &self.setup.identities {
            let demand = demands.get(&identity.name).copied().unwrap_or_default();
            let own = demand.listing + demand.backfill + demand.sweep + demand.fixed;
            // Of what the project may spend, each identity gets the share that its plan has of all plans.
            let share =
                if everyone > 0.0 { self.setup.project_budget * own / everyone } else { self.setup.project_budget };
            let stretch = Stretch::fit(demand, identity.budget.min(share));
            self.metrics.stretched(&identity.name, stretch);
            stretches.insert(identity.name.clone(), stretch);
        }
        self.stretches = stretches;
    }

    fn rhythm(&self, listing: Duration) -> Rhythm {
        let WatchSettings { session_sweep, backfill, discovery, .. } = self.setup.settings;
        Rhythm { listing, sweep: session_sweep, backfill, record: discovery }
    }

    fn wake_at(&mut self, key: Key, at: Mono) {
        if let Some(before) = self.due_of.get(&key).copied() {
            if before <= at {
                return;
            }
            self.due.remove(&(before, key.clone()));
        }
        self.due_of.insert(key.clone(), at);
        self.due.insert((at, key));
    }

    fn sleep(&mut self, key: &Key) {
        if let Some(at) = self.due_of.remove(key) {
            self.due.remove(&(at, key.clone()));
        }
    }
}

/// The rhythm of a conference that was watched for a target that is no longer configured.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
/// Participants on one page of a listing.
const PAGE: u32 = 250;
/// [`SWEEP_BATCH`] as a number of people.
#[expect(clippy::cast_possible_truncation, reason = "12 fits")]
const SWEEP_PEOPLE: u32 = SWEEP_BATCH as u32;

fn per_minute(period: Duration) -> f64 {
    60.0 / period.as_secs_f64().max(1.0)
}
