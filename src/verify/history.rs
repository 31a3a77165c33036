//! One history: a world, its faults, a schedule that reads it, a store that keeps what was told, and crashes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use prometheus::{IntCounterVec, Opts, Registry};

use super::google::{Errand, Progress, latency};
use super::truth;
use crate::backoff::{Backoff, Random};
use crate::clock::{Mono, Now, elapsed, saturating_add};
use crate::meet::{ReadError, Reading};
use crate::model::{IdentityName, TargetName};
use crate::sim::api::{Api, ApiSettings, Caller};
use crate::sim::faults::{Fault, Faults, PRESETS, When, preset};
use crate::sim::world::{ConferenceTruth, World, WorldSettings};
use crate::status::StatusBoard;
use crate::store::{Commit, Db};
use crate::watch::{
    Command, Input, Key, Memory, Metrics, Scheduler, Setup, TargetSettings, WatchIdentity, WatchSettings, What,
};

/// What kind of history to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    pub seed: u64,
    /// How long people meet.
    pub length: Duration,
    pub faults: bool,
    pub crashes: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// How much time passed in it.
    pub simulated: Duration,
    pub conferences: usize,
    /// How long its conferences lasted, together.
    pub met: Duration,
    pub sessions: usize,
    pub reads: u64,
    pub crashes: u64,
    pub faults: BTreeMap<&'static str, u64>,
    /// By provenance.
    pub events: BTreeMap<&'static str, u64>,
    /// What the log says and the world does not, or the other way round. Empty is well.
    pub disagreements: Vec<String>,
    /// The log, a line each, as somebody would read it.
    pub log: Vec<String>,
}

/// A history that could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("the store of the history failed: {0}")]
    Store(String),
    #[error("the history could not be set up: {0}")]
    Setup(String),
}

/// After people stopped meeting, so long is waited for the daemon to have read it all.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);
/// When every history begins.
const BEGINNING: &str = "2026-01-05T09:00:00Z";

/// Runs one history to its end and compares.
///
/// # Errors
/// [`Broken`] if the history itself could not be run; that the log is wrong is not an error but a disagreement.
pub fn run(options: Options) -> Result<History, Broken> {
    let mut play = Play::new(options)?;
    play.play()?;
    play.compare()
}

/// Everything that takes part.
struct Play {
    options: Options,
    api: Api,
    /// What goes wrong with a conference that is over.
    calm: Faults,
    db: Db,
    scheduler: Scheduler,
    random: Random,
    mono: Mono,
    /// The wall clock is this far from Google's.
    skew: SignedDuration,
    queue: BTreeMap<(Mono, u64), Happening>,
    queued: u64,
    history: History,
    begun: Timestamp,
    crash_at: Option<Mono>,
}

/// What happens at a time.
enum Happening {
    Errand(Key, Errand),
    Answer(Key, Box<Result<Reading, ReadError>>),
    Commit(Key, Box<Commit>),
    Committed(Key, bool),
}

impl Play {
    fn new(options: Options) -> Result<Self, Broken> {
        let begun: Timestamp = BEGINNING.parse().map_err(|_| Broken::Setup("the beginning".to_owned()))?;
        let mut random = Random::with_seed(options.seed ^ 0x9e37_79b9_7f4a_7c15);
        let mut settings = WorldSettings::starting(begun, options.seed);
        settings.conferences = random.u32(1..4);
        settings.people = random.u32(2..14);
        settings.speed = [1.0, 2.0, 5.0][random.usize(0..3)];
        let (mut faults, mut calm) = (Faults::seeded(options.seed), Faults::seeded(!options.seed));
        if options.faults {
            for (name, _) in PRESETS.iter().filter(|(name, _)| *name != "skew" && random.u8(0..3) == 0) {
                let rules = preset(name, options.seed).map_err(|error| Broken::Setup(error.to_string()))?;
                for rule in rules {
                    match shifting(&rule.fault) {
                        Some(share) => faults.add(rule.when(When::Chance(share))),
                        None => {
                            calm.add(rule.clone());
                            faults.add(rule);
                        }
                    }
                }
            }
        }
        let world = World::new(settings);
        let api = Api::new(
            world,
            faults,
            ApiSettings { seed: options.seed, max_page: Some(random.usize(5..25)), ..ApiSettings::default() },
        );
        let db = Db::in_memory(begun).map_err(|error| Broken::Store(error.to_string()))?;
        let skew = if options.faults { SignedDuration::from_secs(random.i64(-90..90)) } else { SignedDuration::ZERO };
        let now = Now { mono: Mono::ZERO, wall: begun.saturating_add(skew).unwrap_or(begun) };
        let scheduler = schedule(&db, options.seed, now)?;
        let mut play = Self {
            options,
            api,
            calm,
            db,
            scheduler,
            random,
            mono: Mono::ZERO,
            skew,
            queue: BTreeMap::new(),
            queued: 0,
            history: History::default(),
            begun,
            crash_at: None,
        };
        play.plan_crash();
        Ok(play)
    }

    fn google(&self) -> Timestamp {
        saturating_add(self.begun, self.mono)
    }

    fn now(&self) -> Now {
        let google = self.google();
        Now { mono: self.mono, wall: google.saturating_add(self.skew).unwrap_or(google) }
    }

    fn play(&mut self) -> Result<(), Broken> {
        let length = self.options.length;
        let mut winding_down = false;
        self.step(Input::Tick);
        loop {
            if self.mono >= length && !winding_down {
                winding_down = true;
                let google = self.google();
                self.api.world.step(google);
                self.api.world.end_all(google);
            }
            if winding_down
                && (self.scheduler.conferences().is_empty() && self.mono > length + Duration::from_secs(900)
                    || self.mono > length + PATIENCE)
            {
                return Ok(());
            }
            let next = self.queue.first_key_value().map(|((at, _), _)| *at);
            let wake = self.scheduler.next_wake();
            let at = [next, wake, (!winding_down).then_some(length)]
                .into_iter()
                .flatten()
                .min()
                .unwrap_or(self.mono + Duration::from_secs(60));
            self.mono = self.mono.max(at);
            if self.crash_at.is_some_and(|crash| crash <= self.mono) {
                self.crash()?;
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

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Errand(key, errand) => {
                let google = self.google();
                let over = errand.is_about_the_past(&mut self.api, google);
                if over {
                    std::mem::swap(&mut self.api.faults, &mut self.calm);
                }
                let progress = errand.proceed(&mut self.api, Caller::Anybody, self.mono, google, &mut self.random);
                if over {
                    std::mem::swap(&mut self.api.faults, &mut self.calm);
                }
                match progress {
                    Progress::Later(errand, at) => self.push(at, Happening::Errand(key, errand)),
                    Progress::Done(result) => self.push(self.mono, Happening::Answer(key, Box::new(result))),
                }
            }
            Happening::Answer(key, result) => self.step(Input::Answered(key, *result)),
            Happening::Commit(key, commit) => {
                let now = self.now().wall;
                let mut results = self.db.commit_group(&[*commit], now);
                let result = results.pop().unwrap_or(Ok(()));
                if let Err(error) = &result {
                    self.history.disagreements.push(format!("{}: a commit failed: {error}", self.google()));
                }
                self.push(self.mono + Duration::from_millis(1), Happening::Committed(key, result.is_ok()));
            }
            Happening::Committed(key, well) => self.step(Input::Committed(key, well)),
        }
    }

    fn step(&mut self, input: Input) {
        for command in self.scheduler.step(self.now(), input) {
            match command {
                Command::Read { key, read, .. } => {
                    self.history.reads += 1;
                    let at = self.mono + latency(&mut self.random);
                    self.push(at, Happening::Errand(key, Errand::new(read)));
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

    fn plan_crash(&mut self) {
        self.crash_at = self.options.crashes.then(|| self.mono + Duration::from_secs(self.random.u64(60..7200)));
    }

    /// The process dies: what was under way is lost, what was committed is not. Some time later it starts again.
    fn crash(&mut self) -> Result<(), Broken> {
        self.history.crashes += 1;
        self.queue.clear();
        let down = if self.random.bool() { self.random.u64(0..20) } else { self.random.u64(20..1800) };
        self.mono += Duration::from_secs(down);
        let seed = self.random.u64(..);
        self.scheduler = schedule(&self.db, seed, self.now())?;
        self.plan_crash();
        if self.mono > self.options.length {
            self.crash_at = None;
        }
        self.step(Input::Tick);
        Ok(())
    }

    fn compare(mut self) -> Result<History, Broken> {
        let google = self.google();
        self.api.world.step(google);
        self.history.simulated = self.mono;
        for (fault, count) in self.api.faults.struck().iter().chain(self.calm.struck()) {
            *self.history.faults.entry(fault).or_default() += count;
        }
        let lasted = |truth: ConferenceTruth| elapsed(truth.start, truth.end.unwrap_or(google));
        self.history.met = self.api.world.conferences().map(lasted).sum();
        let events = truth::log_of(&self.db).map_err(|error| Broken::Store(error.to_string()))?;
        let compared = truth::compare(&self.api.world, &events);
        (self.history.conferences, self.history.sessions) = (compared.conferences, compared.sessions);
        self.history.disagreements.extend(compared.disagreements);
        for event in &events {
            *self.history.events.entry(event.provenance.as_str()).or_default() += 1;
            self.history.log.push(truth::line(event));
        }
        if !self.scheduler.conferences().is_empty() {
            let left: BTreeSet<_> = self.scheduler.conferences().keys().map(ToString::to_string).collect();
            self.history.disagreements.push(format!("never read to the end: {left:?}"));
        }
        Ok(self.history)
    }
}

/// Lists that leave somebody out do so while people come and go: each time somebody else, and no longer once the
/// conference is over. How often, for those that do.
fn shifting(fault: &Fault) -> Option<f64> {
    match fault {
        Fault::Skips(_) | Fault::Omit(_) | Fault::Empty => Some(0.15),
        _ => None,
    }
}

/// The schedule as it starts on a store.
fn schedule(db: &Db, seed: u64, now: Now) -> Result<Scheduler, Broken> {
    let store = |error: crate::store::StoreError| Broken::Store(error.to_string());
    let setup = |error: &dyn std::fmt::Display| Broken::Setup(error.to_string());
    let identity = IdentityName::parse("organizer").map_err(|error| setup(&error))?;
    let target = TargetSettings {
        name: TargetName::parse("all").map_err(|error| setup(&error))?,
        identity: identity.clone(),
        what: What::Organizer,
        poll_interval: Duration::from_secs(10),
    };
    let settings = Setup {
        settings: WatchSettings::default(),
        targets: vec![target],
        identities: vec![WatchIdentity { name: identity, looks_up: false, budget: 480.0 }],
        routes: Vec::new(),
        internal_domains: Vec::new(),
        project_budget: 4800.0,
    };
    let memory = Memory {
        conferences: db.load_unfinished().map_err(store)?,
        targets: db.targets().map_err(store)?,
        finished: db.finished().map_err(store)?,
    };
    let backoff =
        Backoff::new(Duration::from_secs(2), 2.0, Duration::from_secs(120), 0.2).map_err(|error| setup(&error))?;
    let limit = IntCounterVec::new(Opts::new("limit", "limit"), &["limit"]).map_err(|error| setup(&error))?;
    let metrics = Metrics::new(&Registry::new(), limit).map_err(|error| setup(&error))?;
    Ok(Scheduler::new(settings, memory, backoff, Random::with_seed(seed), metrics, StatusBoard::default(), now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agree(faults: bool, crashes: bool, seeds: std::ops::Range<u64>) {
        for seed in seeds {
            let history = run(Options { seed, length: Duration::from_secs(3600), faults, crashes }).unwrap();
            assert!(history.sessions > 0, "seed {seed} made nothing happen");
            assert!(
                history.disagreements.is_empty(),
                "seed {seed}: {:?}\n{}\n\n{}",
                history.faults,
                history.disagreements.join("\n"),
                history.log.join("\n")
            );
        }
    }

    #[test]
    fn an_undisturbed_history_agrees_with_the_world() {
        agree(false, false, 0..20);
    }

    #[test]
    fn a_history_with_crashes_agrees_with_the_world() {
        agree(false, true, 0..20);
    }

    #[test]
    fn a_history_with_every_fault_agrees_with_the_world() {
        agree(true, false, 0..20);
    }

    #[test]
    fn a_history_with_faults_and_crashes_agrees_with_the_world() {
        agree(true, true, 0..20);
    }

    #[test]
    fn the_same_seed_gives_the_same_log() {
        let options = Options { seed: 7, length: Duration::from_secs(3600), faults: true, crashes: true };
        assert_eq!(run(options).unwrap().log, run(options).unwrap().log);
    }
}
