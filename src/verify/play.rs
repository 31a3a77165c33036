//! One history while it happens: a world, what goes wrong, a schedule that reads it, a store that keeps what was told.

mod reload;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::cast::Cast;
use super::expect::Expectations;
use super::google::{Errand, Progress, latency};
use super::history::{Broken, History, Options};
use super::journal::Journal;
use super::post::Post;
use super::scenario::{Scenario, Watching};
use super::{content, honesty, sight, truth};
use crate::backoff::Random;
use crate::clock::{Mono, Now, elapsed, saturating_add};
use crate::meet::{Answer, ReadError, Reading};
use crate::model::{ConferenceName, IdentityName, ParticipantName};
use crate::sim::api::{Api, ApiSettings};
use crate::sim::faults::{Fault, Faults, Rule};
use crate::sim::world::{Act, ConferenceTruth, World};
use crate::store::{Commit, CommitError, Db, StoredConference};
use crate::watch::{Command, Input, Key, Scheduler};

/// After everything calmed down, so long is waited for the daemon to have read it all.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);
/// So much longer, where Google denies a conference: it is given up after a day.
const PATIENCE_WITH_DENIALS: Duration = Duration::from_secs(26 * 3600);
/// So long after everything calmed down something may still be found that was not known.
const SETTLING: Duration = Duration::from_secs(900);
/// When every history begins.
const BEGINNING: &str = "2026-01-05T09:00:00Z";

/// Everything that takes part.
pub(super) struct Play {
    options: Options,
    scenario: Scenario,
    cast: Cast,
    api: Api,
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
    /// From when on nothing out of the ordinary happens any more.
    calm_from: Mono,
    winding_down: bool,
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
        script(&scenario, &options, &mut world, &mut random);
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
        let api = Api::new(world, faults, settings);
        let mut db = Db::in_memory(begun).map_err(|error| Broken::Store(error.to_string()))?;
        let wall = saturating_add(begun, scenario.late);
        let now = Now { mono: scenario.late, wall: wall.saturating_add(scenario.skew).unwrap_or(wall) };
        let seed = scenario.delivers.then(|| random.u64(..));
        let post = seed.map(|seed| Post::new(&mut db, seed, now)).transpose()?;
        let routes = post.iter().flat_map(Post::routes).collect();
        let scheduler = cast.schedule(&db, routes, options.seed, now)?;
        let lasting = scenario.rules.iter().filter_map(|(rule, _)| rule.until).map(|until| elapsed(begun, until));
        let calm_from = lasting.chain(scenario.outage.map(|(_, to)| to)).chain([options.length]).max();
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
            calm_from: calm_from.unwrap_or(options.length),
            winding_down: false,
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
        let all = [queued, self.scheduler.next_wake(), post, length, self.crash_at, self.jump_at, self.deny_at];
        all.into_iter().flatten().min().unwrap_or(self.mono + Duration::from_secs(60))
    }

    fn is_over(&self) -> bool {
        if !self.winding_down || self.crash_at.is_some_and(|crash| crash <= self.calm_from) {
            return false;
        }
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

    /// What happens to the clock, and to the records, without anybody's doing.
    fn disturb(&mut self) {
        if self.jump_at.is_some_and(|at| at <= self.mono) {
            let jump = self.random.i64(-7200..7200);
            self.skew = SignedDuration::from_secs(jump);
            self.count("clock-jump");
            self.journal.note(self.google(), None, || format!("the wall clock jumps and is now {jump} s off"));
            self.plan_jump();
        }
        if self.deny_at.is_some_and(|at| at <= self.mono) {
            self.deny_at = None;
            let google = self.google();
            self.api.world.step(google);
            let every = self.scenario.expires.unwrap_or(1) as usize;
            let known: Vec<_> = self.api.world.conferences().map(|conference| conference.conference).collect();
            for name in known.into_iter().rev().step_by(every) {
                let id = name.as_str().rsplit('/').next().unwrap_or_default();
                let rule = Rule { from: Some(google), ..Rule::new(Fault::NotFound).of(id) };
                self.api.faults.add(rule.clone());
                self.calm.add(rule);
                self.count("expired");
                self.journal.note(google, Some(&Key::Conference(name.clone())), || "the record is gone".to_owned());
                self.denied.insert(name);
            }
        }
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
                let mut progress = errand.proceed(&mut self.api, caller, self.mono, google, &mut self.random);
                if over {
                    std::mem::swap(&mut self.api.faults, &mut self.calm);
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

    /// Leaves the same people out of every listing for a while.
    fn hide(&mut self, reading: &mut Reading) {
        let hides = self.scenario.hides.is_some_and(|(from, until)| (from..until).contains(&self.mono));
        if let (true, Answer::Participants(listed)) = (hides, &mut reading.answer) {
            let before = listed.len();
            listed.retain(|participant| !hidden(&participant.name));
            *self.history.faults.entry("hidden").or_default() += (before - listed.len()) as u64;
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

    fn plan_jump(&mut self) {
        let every = self.scenario.jumps_every.map(|every| every.as_secs().max(2));
        self.jump_at = every.map(|every| self.mono + Duration::from_secs(self.random.u64(every / 2..every * 2)));
    }

    fn plan_crash(&mut self) {
        let next = self.options.crashes.then(|| self.mono + Duration::from_secs(self.random.u64(60..7200)));
        let next = next.filter(|at| *at <= self.options.length);
        let outage = self.scenario.outage.map(|(from, _)| from).filter(|from| *from > self.mono);
        self.crash_at = next.into_iter().chain(outage).min();
    }

    /// The process dies. Of what was under way some was committed and not acknowledged, the rest is lost. Some time later
    /// it starts again.
    fn crash(&mut self) -> Result<(), Broken> {
        self.history.crashes += 1;
        let from = self.google();
        for happening in std::mem::take(&mut self.queue).into_values() {
            if let Happening::Commit(_, commit) = happening
                && self.random.bool()
            {
                self.commit(*commit);
            }
        }
        let until = match self.scenario.outage {
            Some((from, to)) if from <= self.mono => {
                self.scenario.outage = None;
                to
            }
            _ if self.random.bool() => self.mono + Duration::from_secs(self.random.u64(0..20)),
            _ => self.mono + Duration::from_secs(self.random.u64(20..1800)),
        };
        self.mono = self.mono.max(until);
        self.journal.note(from, None, || "the process dies".to_owned());
        self.journal.note(self.google(), None, || "the process starts again".to_owned());
        self.down.push((from, self.google()));
        if let Some(post) = &mut self.post {
            post.die();
        }
        let (seed, routes) = (self.random.u64(..), self.post.iter().flat_map(Post::routes).collect());
        self.scheduler = self.cast.schedule(&self.db, routes, seed, self.now())?;
        self.plan_crash();
        self.step(Input::Tick);
        Ok(())
    }

    /// When nobody could see anything, by Google's clock.
    fn dark(&self) -> Vec<(Timestamp, Timestamp)> {
        let alone = matches!(
            self.scenario.watch,
            Watching::Organizer | Watching::Codes | Watching::Spaces | Watching::Conferences
        );
        self.down.iter().copied().chain(self.scenario.refused.filter(|_| alone)).collect()
    }

    pub(super) fn compare(mut self) -> Result<History, Broken> {
        let google = self.google();
        self.api.world.step(google);
        self.history.simulated = self.mono.saturating_sub(self.scenario.late);
        for (fault, count) in self.api.faults.struck().iter().chain(self.calm.struck()) {
            *self.history.faults.entry(fault).or_default() += count;
        }
        let store = |error: truth::LogError| Broken::Store(error.to_string());
        self.history.bodies = truth::bodies_of(&self.db).map_err(|error| Broken::Store(error.to_string()))?;
        let events = truth::log_of(&self.db).map_err(store)?;
        let since = self.db.targets().map_err(|error| Broken::Store(error.to_string()))?;
        let since: Vec<_> = since.into_iter().map(|row| row.watched_since).collect();
        let expect = Expectations {
            scenario: &self.scenario,
            named: &self.cast.named,
            denied: &self.denied,
            down: &self.down,
            since: &since,
        };
        let compared = truth::compare_as(&self.api.world, &events, |conference| expect.of(conference));
        (self.history.conferences, self.history.sessions) = (compared.conferences, compared.sessions);
        self.history.conferred = self
            .api
            .world
            .conferences()
            .map(|conference| elapsed(conference.start, conference.end.unwrap_or(google)))
            .sum();
        self.history.disagreements.extend(compared.disagreements);
        self.history.disagreements.extend(content::of_no_target(&events));
        if !self.scenario.revises() {
            self.history.disagreements.extend(honesty::told_as_googles(&self.api.world, &events));
        }
        if self.scenario.watch != Watching::Guest {
            // A guest may not have been able to look before, either, so that there is no time since when nobody did.
            self.history.disagreements.extend(honesty::seen_while_down(&events, &self.dark()));
            let whole = |truth: &ConferenceTruth| compared.whole.contains(&truth.conference);
            let known = self.api.world.conferences().filter(whole).map(|truth| (truth.conference, truth.end)).collect();
            let wrong = sight::untold(&events, &self.down, &known, !self.options.faults);
            self.history.disagreements.extend(wrong);
        }
        // Nobody invites a guest to every meeting, so that one is shut out without anything going wrong.
        if !self.options.faults && self.scenario.watch != Watching::Guest {
            self.history.disagreements.extend(sight::told_of_nothing(&events, &self.down));
            if self.down.is_empty() {
                let since = saturating_add(self.begun, self.scenario.late);
                self.history.disagreements.extend(sight::late_for_no_reason(&events, since));
            }
        }
        if !self.scenario.denies() {
            let grace = crate::watch::WatchSettings::default().leave_grace;
            self.history.disagreements.extend(honesty::concluded_too_early(&self.api.world, &events, grace));
        }
        if self.down.is_empty() && self.scenario.lasts_whole() {
            let shown = self.scenario.hides.map_or(self.begun, |(_, until)| saturating_add(self.begun, until));
            self.history.disagreements.extend(honesty::concluded_too_long(&self.api.world, &events, shown));
        }
        if let Some(post) = &self.post {
            self.history.deliveries = post.deliveries;
            self.history.disagreements.extend(post.compare(&self.db, &events)?);
        }
        for event in &events {
            *self.history.events.entry(event.provenance.as_str()).or_default() += 1;
            let conference = event.conference.as_ref().map_or("", |conference| conference.name.as_str());
            self.history.log.push((conference.to_owned(), truth::line(event)));
        }
        for left in self.scheduler.conferences().keys() {
            self.history.disagreements.push(format!("never read to the end: {left}"));
        }
        self.history.journal = self.journal;
        Ok(self.history)
    }
}

/// Writes into the world what its seed does not make up.
fn script(scenario: &Scenario, options: &Options, world: &mut World, random: &mut Random) {
    let spaces: Vec<_> = world.spaces().map(|(key, _)| key).collect();
    let people: Vec<_> =
        (1..28).filter_map(|number| world.person_by_email(&format!("person{number}@example.com"))).collect();
    let (from, until) = (scenario.late.as_secs() + 1, options.length.as_secs().max(scenario.late.as_secs() + 2));
    for space in spaces {
        let mut at = || saturating_add(scenario.world.start, Duration::from_secs(random.u64(from..until)));
        if scenario.abandons {
            for _ in 0..3 {
                world.schedule(at(), space, Act::Abandon);
            }
        }
        if scenario.renames {
            for (number, person) in people.iter().enumerate() {
                world.schedule(at(), space, Act::Rename(*person, format!("Renamed {number}").into()));
            }
        }
    }
}

/// Who is left out: always the same.
fn hidden(name: &ParticipantName) -> bool {
    name.as_str().bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)).is_multiple_of(3)
}

fn short(answer: &Answer) -> String {
    let text = format!("{answer:?}");
    let cut = text.char_indices().nth(600).map_or(text.len(), |(at, _)| at);
    text[..cut].to_owned()
}
