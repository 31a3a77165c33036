//! The real schedule and rosters on a simulated clock, reading a world.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use meetwatch::backoff::{Backoff, Random};
use meetwatch::clock::{Mono, Now, saturating_add};
use meetwatch::meet::{ParticipantFilter, Read, Reading};
use meetwatch::model::{IdentityName, TargetName};
use meetwatch::sim::world::World;
use meetwatch::status::StatusBoard;
use meetwatch::watch::{
    Memory, Scheduler, SchedulerCommand, SchedulerInput, Setup, TargetSelector, TargetSettings, WatchIdentity,
    WatchMetrics, WatchSettings, WorkKey,
};
use prometheus::{IntCounterVec, Opts, Registry};

use crate::google;

/// When every measurement begins.
pub(crate) const BEGINNING: Timestamp = Timestamp::constant(1_767_603_600, 0);
/// How long Google takes to answer.
const LATENCY: Duration = Duration::from_millis(150);
/// The least time between two answers, so that the reads of ten thousand conferences are not all answered at one instant.
const APART: Duration = Duration::from_micros(100);
/// How long a commit takes.
const COMMIT: Duration = Duration::from_millis(5);

/// The number of requests, by purpose.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Requests {
    pub(crate) listings: usize,
    pub(crate) sessions: usize,
    pub(crate) backfills: usize,
    pub(crate) records: usize,
    /// The complete reads at the end, and the space at the beginning.
    pub(crate) others: usize,
    /// The reads of targets.
    pub(crate) discovery: usize,
}

impl Requests {
    /// Returns the requests that were for conferences.
    pub(crate) const fn of_conferences(self) -> usize {
        self.listings + self.sessions + self.backfills + self.records + self.others
    }

    fn add(&mut self, key: &WorkKey, read: &Read, requests: usize) {
        let count = match (key, read) {
            (WorkKey::Target(_), _) => &mut self.discovery,
            (_, Read::Participants(_, ParticipantFilter::Active)) => &mut self.listings,
            (_, Read::Participants(_, ParticipantFilter::LeftSince(_))) => &mut self.backfills,
            (_, Read::Sessions(..)) => &mut self.sessions,
            (_, Read::Conference(_)) => &mut self.records,
            _ => &mut self.others,
        };
        *count += requests;
    }
}

/// A schedule with a world to read.
#[derive(Debug)]
pub(crate) struct Watching {
    pub(crate) world: World,
    pub(crate) scheduler: Scheduler,
    pub(crate) requests: Requests,
    mono: Mono,
    /// When the last answer comes of those that are under way.
    last_answer: Mono,
    queue: BTreeMap<(Mono, u64), Happening>,
    queued: u64,
}

#[derive(Debug)]
enum Happening {
    Answer(WorkKey, Read),
    Committed(WorkKey),
}

impl Watching {
    /// Watches everything in a world that begins at [`BEGINNING`], with default settings and enough quota.
    pub(crate) fn new(world: World) -> Result<Self> {
        let now = Now { mono: Mono::ZERO, wall: BEGINNING };
        let scheduler = scheduler(TargetSelector::Organizer, Duration::from_secs(10), WatchSettings::default(), now)?;
        let mut watching = Self {
            world,
            scheduler,
            requests: Requests::default(),
            mono: Mono::ZERO,
            last_answer: Mono::ZERO,
            queue: BTreeMap::new(),
            queued: 0,
        };
        watching.step(SchedulerInput::Tick);
        Ok(watching)
    }

    /// Returns the time in the world.
    pub(crate) fn google(&self) -> Timestamp {
        saturating_add(BEGINNING, self.mono)
    }

    /// Lets time pass.
    pub(crate) fn go_on(&mut self, time: Duration) -> Result<()> {
        let until = self.mono + time;
        loop {
            let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
            let at = [queued, self.scheduler.next_wake()].into_iter().flatten().min().unwrap_or(until);
            if at > until {
                self.mono = until;
                return Ok(());
            }
            self.mono = self.mono.max(at);
            match self.queue.first_entry() {
                Some(entry) if entry.key().0 <= self.mono => {
                    let happening = entry.remove();
                    self.happen(happening)?;
                }
                _ => self.step(SchedulerInput::Tick),
            }
        }
    }

    fn happen(&mut self, happening: Happening) -> Result<()> {
        match happening {
            Happening::Answer(key, read) => {
                let google = self.google();
                self.world.step(google);
                let (answer, requests) = google::answer(&self.world, &read)?;
                self.requests.add(&key, &read, requests);
                let google_time = Timestamp::from_second(google.as_second()).ok();
                let pages = u32::try_from(requests)?;
                self.step(SchedulerInput::Answered(key, Ok(Reading::whole(answer, google_time, pages))));
            }
            Happening::Committed(key) => self.step(SchedulerInput::Committed(key, true)),
        }
        Ok(())
    }

    fn step(&mut self, input: SchedulerInput) {
        let now = Now { mono: self.mono, wall: self.google() };
        for command in self.scheduler.step(now, input) {
            let (at, happening) = match command {
                SchedulerCommand::Read { key, read, .. } => {
                    self.last_answer = (self.mono + LATENCY).max(self.last_answer + APART);
                    (self.last_answer, Happening::Answer(key, read))
                }
                SchedulerCommand::Commit { key, .. } => (self.mono + COMMIT, Happening::Committed(key)),
            };
            self.queued += 1;
            self.queue.insert((at, self.queued), happening);
        }
    }
}

/// Creates a schedule for one target, as the daemon does.
pub(crate) fn scheduler(
    selector: TargetSelector,
    poll_interval: Duration,
    settings: WatchSettings,
    now: Now,
) -> Result<Scheduler> {
    let identity = IdentityName::parse("organizer")?;
    let target =
        TargetSettings { name: TargetName::parse("all")?, identity: identity.clone(), selector, poll_interval };
    let setup = Setup {
        settings,
        targets: vec![target],
        identities: vec![WatchIdentity { name: identity, looks_up: false, budget: 1e9 }],
        routes: Vec::new(),
        internal_domains: Vec::new(),
        project_budget: 1e9,
    };
    let backoff = Backoff::new(Duration::from_secs(5), 2.0, Duration::from_secs(120), 0.2)?;
    Ok(Scheduler::new(setup, Memory::default(), backoff, Random::with_seed(7), metrics()?, StatusBoard::default(), now))
}

/// Returns metrics that nobody collects.
pub(crate) fn metrics() -> Result<WatchMetrics> {
    Ok(WatchMetrics::new(&Registry::new(), limits()?)?)
}

/// Returns the counter of limits that all modules share.
pub(crate) fn limits() -> Result<IntCounterVec> {
    Ok(IntCounterVec::new(Opts::new("meetwatch_limit_reached_total", "limits"), &["limit"])?)
}
