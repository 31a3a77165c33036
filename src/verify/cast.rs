//! Who watches what in a history, and with whose eyes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prometheus::{IntCounterVec, Opts, Registry};

use super::history::Broken;
use super::scenario::{Scenario, Watching};
use crate::backoff::{Backoff, Random};
use crate::clock::Now;
use crate::model::{ConferenceName, IdentityName, Route, TargetName};
use crate::sim::api::Caller;
use crate::sim::world::{ORGANIZER, World};
use crate::status::StatusBoard;
use crate::store::Db;
use crate::watch::{
    Memory, Scheduler, Setup, TargetSelector, TargetSettings, WatchIdentity, WatchMetrics, WatchSettings,
};

/// The identity that owns every space.
const ORGANIZING: &str = "organizer";

/// Everybody who watches.
#[derive(Debug)]
pub(super) struct Cast {
    targets: Vec<TargetSettings>,
    callers: BTreeMap<IdentityName, Caller>,
    /// Those who are called otherwise by now, and may still be at something.
    former: BTreeMap<IdentityName, Caller>,
    settings: WatchSettings,
    organizer: Caller,
    /// Those that are watched by name, where that is so.
    pub named: Vec<ConferenceName>,
}

impl Cast {
    /// The cast of a scenario. The world has its spaces by now, and its first conferences where they are watched by name.
    pub(super) fn new(scenario: &Scenario, world: &World, random: &mut Random) -> Result<Self, Broken> {
        let setup = |error: crate::model::InvalidName| Broken::Setup(error.to_string());
        let (one, two) =
            (IdentityName::parse(ORGANIZING).map_err(setup)?, IdentityName::parse("helper").map_err(setup)?);
        let organizer = world.person_by_email(ORGANIZER).map_or(Caller::Anybody, Caller::User);
        let mut cast = Self {
            targets: Vec::new(),
            callers: BTreeMap::from([(one.clone(), organizer), (two.clone(), Caller::Anybody)]),
            former: BTreeMap::new(),
            settings: WatchSettings::default(),
            organizer,
            named: Vec::new(),
        };
        match scenario.watch {
            Watching::Organizer => cast.watch("all", &one, TargetSelector::Organizer)?,
            Watching::Codes => cast.watch_codes(world, &one)?,
            Watching::Spaces => {
                for (number, (_, space)) in world.spaces().enumerate() {
                    cast.watch(&format!("space{number}"), &one, TargetSelector::Space(space.name.clone()))?;
                }
            }
            Watching::Conferences => {
                cast.named = world.conferences().map(|conference| conference.conference).collect();
                for (number, name) in cast.named.clone().into_iter().enumerate() {
                    cast.watch(&format!("conference{number}"), &one, TargetSelector::Conference(name))?;
                }
            }
            Watching::Two => {
                cast.watch("all", &one, TargetSelector::Organizer)?;
                cast.watch_codes(world, &two)?;
            }
            Watching::Guest => {
                let known = |number: &u32| world.person_by_email(&format!("person{number}@example.com"));
                let guests: Vec<_> = (1..100).filter_map(|number| known(&number)).collect();
                let guest = guests.get(random.usize(0..guests.len().max(1))).copied();
                cast.callers.insert(two.clone(), guest.map_or(Caller::Anybody, Caller::User));
                cast.watch_codes(world, &two)?;
            }
        }
        Ok(cast)
    }

    fn watch_codes(&mut self, world: &World, identity: &IdentityName) -> Result<(), Broken> {
        for (number, (_, space)) in world.spaces().enumerate() {
            self.watch(&format!("code{number}"), identity, TargetSelector::MeetingCode(space.code.clone()))?;
        }
        Ok(())
    }

    fn watch(&mut self, name: &str, identity: &IdentityName, selector: TargetSelector) -> Result<(), Broken> {
        let name = TargetName::parse(name).map_err(|error| Broken::Setup(error.to_string()))?;
        let poll_interval = Duration::from_secs(10);
        self.targets.push(TargetSettings { name, identity: identity.clone(), selector, poll_interval });
        Ok(())
    }

    /// The targets that are told what has ended, besides what goes on: those of the organizer.
    pub(super) fn asks_for_the_ended(&self) -> Vec<&TargetName> {
        let organizer = |target: &&TargetSettings| self.caller(&target.identity) == self.organizer;
        let lists = |target: &&TargetSettings| !matches!(target.selector, TargetSelector::Conference(_));
        self.targets.iter().filter(organizer).filter(lists).map(|target| &target.name).collect()
    }

    /// With whose eyes an identity looks.
    pub(super) fn caller(&self, identity: &IdentityName) -> Caller {
        let caller = self.callers.get(identity).or_else(|| self.former.get(identity));
        caller.copied().unwrap_or(Caller::ServiceAccount)
    }

    /// What the schedule is made from.
    pub(super) fn setup(&self, routes: Vec<Route>) -> Setup {
        let identity = |name: &IdentityName| WatchIdentity { name: name.clone(), looks_up: false, budget: 480.0 };
        Setup {
            settings: self.settings,
            targets: self.targets.clone(),
            identities: self.callers.keys().map(identity).collect(),
            routes,
            internal_domains: Vec::new(),
            project_budget: 4800.0,
        }
    }

    pub(super) fn identities(&self) -> BTreeSet<IdentityName> {
        self.callers.keys().cloned().collect()
    }

    pub(super) fn poll_every(&mut self, interval: Duration) {
        self.targets.iter_mut().for_each(|target| target.poll_interval = interval);
    }

    pub(super) fn sweep_every(&mut self, interval: Duration) {
        (self.settings.session_sweep, self.settings.backfill) = (interval, interval);
    }

    /// Every target is called otherwise.
    pub(super) fn rename_targets(&mut self) -> Result<(), Broken> {
        for target in &mut self.targets {
            target.name = TargetName::parse(&other(target.name.as_str())).map_err(invalid)?;
        }
        Ok(())
    }

    /// The first two targets, where there are two, take each other's names.
    pub(super) fn swap_targets(&mut self) {
        if let [one, two, ..] = self.targets.as_mut_slice() {
            std::mem::swap(&mut one.name, &mut two.name);
        }
    }

    /// Every identity is called otherwise. Returns how, by the names before.
    pub(super) fn rename_identities(&mut self) -> Result<BTreeMap<IdentityName, IdentityName>, Broken> {
        let mut renamed = BTreeMap::new();
        for (name, caller) in std::mem::take(&mut self.callers) {
            let new = IdentityName::parse(&other(name.as_str())).map_err(invalid)?;
            self.callers.insert(new.clone(), caller);
            self.former.insert(name.clone(), caller);
            renamed.insert(name, new);
        }
        for target in &mut self.targets {
            if let Some(name) = renamed.get(&target.identity) {
                target.identity = name.clone();
            }
        }
        Ok(renamed)
    }

    /// The schedule as it starts on a store.
    pub(super) fn schedule(&self, db: &Db, routes: Vec<Route>, seed: u64, now: Now) -> Result<Scheduler, Broken> {
        let store = |error: crate::store::StoreError| Broken::Store(error.to_string());
        let setup = |error: &dyn std::fmt::Display| Broken::Setup(error.to_string());
        let settings = self.setup(routes);
        let memory = Memory {
            conferences: db.load_unfinished().map_err(store)?,
            targets: db.targets().map_err(store)?,
            finished: db.finished().map_err(store)?,
        };
        let backoff =
            Backoff::new(Duration::from_secs(2), 2.0, Duration::from_secs(120), 0.2).map_err(|error| setup(&error))?;
        let limit = IntCounterVec::new(Opts::new("limit", "limit"), &["limit"]).map_err(|error| setup(&error))?;
        let metrics = WatchMetrics::new(&Registry::new(), limit).map_err(|error| setup(&error))?;
        Ok(Scheduler::new(settings, memory, backoff, Random::with_seed(seed), metrics, StatusBoard::default(), now))
    }
}

/// Another name: the same one every other time.
fn other(name: &str) -> String {
    name.strip_suffix(".b").map_or_else(|| format!("{name}.b"), str::to_owned)
}

fn invalid(error: crate::model::InvalidName) -> Broken {
    Broken::Setup(error.to_string())
}
