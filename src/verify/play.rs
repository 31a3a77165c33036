//! One history while it happens: a world, what goes wrong, a schedule that reads it, a store that keeps what was told.

mod mishaps;
mod reckoning;
mod reload;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::cast::Cast;
use super::google::{Errand, Progress, latency};
use super::history::{Broken, History, Options};
use super::journal::Journal;
use super::post::Post;
use super::scenario::Scenario;
use crate::backoff::Random;
use crate::clock::{Mono, Now, elapsed, saturating_add};
use crate::meet::{Answer, ReadError, Reading};
use crate::model::{ConferenceName, IdentityName};
use crate::sim::api::{ApiSettings, SimApi};
use crate::sim::faults::Faults;
use crate::sim::world::World;
use crate::store::{Commit, CommitError, Db, StoredConference};
use crate::watch::{Command, Input, Key, Scheduler};

/// After everything calmed down, so long is waited for the daemon to have read it all.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);
/// So much longer, where Google denies a conference: it is given up after a day.
const PATIENCE_WITH_DENIALS: Duration = Duration::from_secs(26 * 3600);
/// So long after everything calmed down something may still be found that was not known.
const SETTLING: Duration = Duration::from_secs(900);
/// A `Date` counts whole ones.
const SECOND: Duration = Duration::from_secs(1);
/// In so long a time so many answers came that one wrong `Date` among them is outvoted.
const CLOCKS_COMPARED_WITHIN: Duration = Duration::from_secs(60);
/// So often it is looked whether it has.
const LOOKED_EVERY: Duration = Duration::from_secs(10);
/// When every history begins.
const BEGINNING: &str = "2026-01-05T09:00:00Z";

/// Everything that takes part.
pub(super) struct Play {
    options: Options,
    scenario: Scenario,
    cast: Cast,
    api: SimApi,
    /// What goes wrong with a conference that is over.
    calm: Faults,
    db: Db,
    scheduler: Scheduler,
    post: Option<Post>,
    random: Random,
    mono: Mono,
    /// The wall clock is this far from Google's.
    skew: SignedDuration,
    queue: BTreeMap<(Mono, u64), Happening>,
    queued: u64,
    history: History,
    journal: Journal,
    begun: Timestamp,
    jump_at: Option<Mono>,
    crash_at: Option<Mono>,
    reload_at: Option<Mono>,
    deny_at: Option<Mono>,
    denied: BTreeSet<ConferenceName>,
    /// When nobody ran for long, by Google's clock.
    down: Vec<(Timestamp, Timestamp)>,
    /// Until then no `Date` is wrong: the first ones of a process, and those after its clock was set, have to be believed.
    dated_until: Mono,
    /// From when on nothing out of the ordinary happens any more.
    calm_from: Mono,
    winding_down: bool,
    /// When it was looked last whether all has come to rest.
    looked_at: Mono,
}

/// What happens at a time.
enum Happening {
    Errand(Key, IdentityName, Box<Errand>),
    Answer(Key, Box<Result<Reading, ReadError>>),
    Commit(Key, Box<Commit>),
    Committed(Key, bool),
    /// A commit contradicts the store.
    Contradicted(Key),
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Well,
    Not,
    Contradicts,
}

impl Play {
    pub(super) fn new(options: Options) -> Result<Self, Broken> {
        let begun: Timestamp = BEGINNING.parse().map_err(|_| Broken::Setup("the beginning".to_owned()))?;
        let mut random = Random::with_seed(options.seed ^ 0x9e37_79b9_7f4a_7c15);
        let scenario =
            Scenario::draw(&options, begun, &mut random).map_err(|error| Broken::Setup(error.to_string()))?;
        let mut world = World::new(scenario.world.clone());
        world.step(saturating_add(begun, scenario.late));
        mishaps::script(&scenario, &options, &mut world, &mut random);
        let cast = Cast::new(&scenario, &world, &mut random)?;
        let (mut faults, mut calm) = (Faults::seeded(options.seed), Faults::seeded(!options.seed));
        for (rule, always) in &scenario.rules {
            faults.add(rule.clone());
            if *always {
                calm.add(rule.clone());
            }
        }
        let settings = ApiSettings {
            seed: options.seed,
            max_page: Some(scenario.max_page),
            strangers: scenario.strangers,
            ..ApiSettings::default()
        };
        let api = SimApi::new(world, faults, settings);
        let mut db = Db::in_memory(begun).map_err(|error| Broken::Store(error.to_string()))?;
        let wall = saturating_add(begun, scenario.late);
        let now = Now { mono: scenario.late, wall: wall.saturating_add(scenario.skew).unwrap_or(wall) };
        let seed = scenario.delivers.then(|| random.u64(..));
        let post = seed.map(|seed| Post::new(&mut db, seed, now)).transpose()?;
        let routes = post.iter().flat_map(Post::routes).collect();
        let scheduler = cast.schedule(&db, routes, options.seed, now)?;
        let lasting = scenario.rules.iter().filter_map(|(rule, _)| rule.until).map(|until| elapsed(begun, until));
        let planned = scenario.outage.map(|(_, to)| to).into_iter().chain(scenario.hides.last().map(|(_, to)| *to));
        let slept = scenario.sleeps.map(|(at, length)| at + length);
        let calm_from = lasting.chain(planned).chain(slept).chain([options.length]).max();
        let mut play = Self {
            api,
            calm,
            db,
            scheduler,
            post,
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
            dated_until: scenario.late + CLOCKS_COMPARED_WITHIN,
            calm_from: calm_from.unwrap_or(options.length),
            winding_down: false,
            looked_at: Mono::ZERO,
            options,
            scenario,
            cast,
            random,
        };
        play.plan_crash();
        play.plan_jump();
        play.plan_reload();
        Ok(play)
    }

    fn google(&self) -> Timestamp {
        saturating_add(self.begun, self.mono)
    }

    fn now(&self) -> Now {
        let google = self.google();
        Now { mono: self.mono, wall: google.saturating_add(self.skew).unwrap_or(google) }
    }

    pub(super) fn play(&mut self) -> Result<(), Broken> {
        self.step(Input::Tick);
        loop {
            if self.mono >= self.options.length && !self.winding_down {
                self.wind_down();
            }
            if self.is_over() {
                return Ok(());
            }
            self.mono = self.mono.max(self.next());
            if self.crash_at.is_some_and(|crash| crash <= self.mono) {
                self.crash()?;
                continue;
            }
            self.disturb();
            self.doze();
            self.reload()?;
            if let Some(post) = &mut self.post
                && post.next().is_some_and(|at| at <= self.mono)
            {
                let now = Now { mono: self.mono, wall: saturating_add(self.begun, self.mono) };
                post.proceed(&mut self.db, now);
                continue;
            }
            match self.queue.first_entry() {
                Some(entry) if entry.key().0 <= self.mono => {
                    let happening = entry.remove();
                    self.happen(happening);
                }
                _ => self.step(Input::Tick),
            }
        }
    }

    /// When something happens next.
    fn next(&self) -> Mono {
        let length = (!self.winding_down).then_some(self.options.length);
        let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
        let post = self.post.as_ref().and_then(Post::next);
        let sleep = self.scenario.sleeps.map(|(at, _)| at);
        let all = [queued, self.scheduler.next_wake(), post, length, self.crash_at, self.jump_at, self.deny_at, sleep];
        all.into_iter().flatten().min().unwrap_or(self.mono + Duration::from_secs(60))
    }

    fn is_over(&mut self) -> bool {
        if !self.winding_down || self.crash_at.is_some_and(|crash| crash <= self.calm_from) {
            return false;
        }
        // The store is not asked at every step.
        if self.mono < self.looked_at + LOOKED_EVERY {
            return false;
        }
        self.looked_at = self.mono;
        let patience = if self.denied.is_empty() { PATIENCE } else { PATIENCE_WITH_DENIALS };
        let read =
            self.scheduler.conferences().is_empty() && self.mono > self.calm_from + SETTLING && self.has_looked_back();
        let delivered =
            self.post.is_none() || self.db.outbox_summary().is_ok_and(|all| all.iter().all(|one| one.pending == 0));
        (read && delivered) || self.mono > self.calm_from + patience
    }

    /// Whether the organizer was told what had ended, after everything calmed down.
    fn has_looked_back(&self) -> bool {
        let calm = saturating_add(self.begun, self.calm_from);
        let looks_back = self.cast.asks_for_the_ended();
        let mut targets =
            self.db.targets().unwrap_or_default().into_iter().filter(|row| looks_back.contains(&&row.name));
        targets.all(|row| row.discovered_to.is_some_and(|to| to >= calm))
    }

    fn wind_down(&mut self) {
        self.winding_down = true;
        let google = self.google();
        self.api.world.step(google);
        self.api.world.end_all(google);
        (self.jump_at, self.deny_at) = (None, None);
        if let Some(post) = &mut self.post {
            post.failing = false;
        }
        self.journal.note(google, None, || "every meeting ends".to_owned());
    }

    fn count(&mut self, fault: &'static str) {
        *self.history.faults.entry(fault).or_default() += 1;
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Errand(key, identity, errand) => {
                let google = self.google();
                let over = errand.is_about_the_past(&mut self.api, google);
                if over {
                    std::mem::swap(&mut self.api.faults, &mut self.calm);
                }
                let caller = self.cast.caller(&identity);
                let listing = errand.lists_the_active();
                let dated = self.mono < self.dated_until;
                let mut progress = errand.proceed(&mut self.api, caller, self.mono, google, dated, &mut self.random);
                if over {
                    std::mem::swap(&mut self.api.faults, &mut self.calm);
                }
                if let Progress::Done(Ok(reading), _) = &progress
                    && reading.google_time.is_some_and(|date| elapsed(date, google).max(elapsed(google, date)) > SECOND)
                {
                    // Of a few answers one may be wrong, and not most of them.
                    self.dated_until = self.mono + CLOCKS_COMPARED_WITHIN;
                }
                if let (true, Progress::Done(Ok(reading), _)) = (listing, &mut progress) {
                    self.hide(reading);
                }
                match progress {
                    Progress::Later(errand, at) => self.push(at, Happening::Errand(key, identity, Box::new(errand))),
                    Progress::Done(result, late) => {
                        self.push(self.mono + late, Happening::Answer(key, Box::new(result)));
                    }
                }
            }
            Happening::Answer(key, result) => {
                self.journal.note(self.google(), Some(&key), || match &*result {
                    Ok(reading) => format!("answered: {}", short(&reading.answer)),
                    Err(error) => format!("failed: {}", error.reason),
                });
                self.step(Input::Answered(key, *result));
            }
            Happening::Commit(key, commit) => {
                let chance = self.random.f64();
                let outcome = if chance < self.scenario.failing_commits {
                    self.count("commit");
                    self.journal.note(self.google(), Some(&key), || "a commit fails".to_owned());
                    Happening::Committed(key, false)
                } else {
                    let lost = chance < self.scenario.failing_commits * 1.5;
                    match self.commit(*commit) {
                        Kept::Well if lost => {
                            self.count("commit-unheard");
                            self.journal.note(self.google(), Some(&key), || "a commit's answer is lost".to_owned());
                            Happening::Committed(key, false)
                        }
                        Kept::Contradicts => Happening::Contradicted(key),
                        kept => Happening::Committed(key, kept == Kept::Well),
                    }
                };
                self.push(self.mono + Duration::from_millis(1), outcome);
            }
            Happening::Contradicted(key) => {
                let all = self.db.load_unfinished().unwrap_or_default();
                let about = |stored: &StoredConference| Key::Conference(stored.conference.name.clone()) == key;
                let stored = all.into_iter().find(about).map(Box::new);
                self.step(Input::Contradicted(key, stored));
            }
            Happening::Committed(key, well) => self.step(Input::Committed(key, well)),
        }
    }

    fn commit(&mut self, commit: Commit) -> Kept {
        let now = Now { mono: self.mono, wall: self.google() };
        let mut results = self.db.commit_group(&[commit], now.wall);
        let result = results.pop().unwrap_or(Ok(()));
        if let Some(post) = &mut self.post {
            post.wake(&mut self.db, now);
        }
        match result {
            Ok(()) => Kept::Well,
            // So it has to come where the answer to the commit before was lost, and nowhere else.
            Err(CommitError::Duplicate(_) | CommitError::Invariant(_))
                if self.history.faults.contains_key("commit-unheard") =>
            {
                Kept::Contradicts
            }
            Err(error) => {
                self.history.disagreements.push(format!("{}: a commit failed: {error}", self.google()));
                Kept::Not
            }
        }
    }

    fn step(&mut self, input: Input) {
        for command in self.scheduler.step(self.now(), input) {
            match command {
                Command::Read { key, identity, read, .. } => {
                    self.history.reads += 1;
                    self.journal.note(self.google(), Some(&key), || format!("{identity} reads {read:?}"));
                    let at = self.mono + latency(&mut self.random);
                    self.push(at, Happening::Errand(key, identity, Box::new(Errand::new(read))));
                }
                Command::Commit { key, commit } => {
                    let at = self.mono + Duration::from_millis(self.random.u64(1..30));
                    self.push(at, Happening::Commit(key, commit));
                }
            }
        }
    }

    fn push(&mut self, at: Mono, happening: Happening) {
        self.queued += 1;
        self.queue.insert((at, self.queued), happening);
    }
}

fn short(answer: &Answer) -> String {
    let text = format!("{answer:?}");
    let cut = text.char_indices().nth(600).map_or(text.len(), |(at, _)| at);
    text[..cut].to_owned()
}
