//! Who watches what in a history, and with whose eyes.

use std::collections::BTreeMap;
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
use crate::watch::{Memory, Metrics, Scheduler, Setup, TargetSettings, WatchIdentity, WatchSettings, What};

/// The identity that owns every space.
const ORGANIZING: &str = "organizer";

/// Everybody who watches.
#[derive(Debug)]
pub(super) struct Cast {
    targets: Vec<TargetSettings>,
    callers: BTreeMap<IdentityName, Caller>,
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
            named: Vec::new(),
        };
        match scenario.watch {
            Watching::Organizer => cast.watch("all", &one, What::Organizer)?,
            Watching::Codes => cast.watch_codes(world, &one)?,
            Watching::Spaces => {
                for (number, (_, space)) in world.spaces().enumerate() {
                    cast.watch(&format!("space{number}"), &one, What::Space(space.name.clone()))?;
                }
            }
            Watching::Conferences => {
                cast.named = world.conferences().map(|conference| conference.conference).collect();
                for (number, name) in cast.named.clone().into_iter().enumerate() {
                    cast.watch(&format!("conference{number}"), &one, What::Conference(name))?;
                }
            }
            Watching::Two => {
                cast.watch("all", &one, What::Organizer)?;
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
            self.watch(&format!("code{number}"), identity, What::MeetingCode(space.code.clone()))?;
        }
        Ok(())
    }

    fn watch(&mut self, name: &str, identity: &IdentityName, what: What) -> Result<(), Broken> {
        let name = TargetName::parse(name).map_err(|error| Broken::Setup(error.to_string()))?;
        let poll_interval = Duration::from_secs(10);
        self.targets.push(TargetSettings { name, identity: identity.clone(), what, poll_interval });
        Ok(())
    }

    /// The targets that are told what has ended, besides what goes on: those of the organizer.
    pub(super) fn asks_for_the_ended(&self) -> Vec<&TargetName> {
        let organizer = |target: &&TargetSettings| target.identity.as_str() == ORGANIZING;
        let lists = |target: &&TargetSettings| !matches!(target.what, What::Conference(_));
        self.targets.iter().filter(organizer).filter(lists).map(|target| &target.name).collect()
    }

    /// With whose eyes an identity looks.
    pub(super) fn caller(&self, identity: &IdentityName) -> Caller {
        self.callers.get(identity).copied().unwrap_or(Caller::ServiceAccount)
    }

    /// The schedule as it starts on a store.
    pub(super) fn schedule(&self, db: &Db, routes: Vec<Route>, seed: u64, now: Now) -> Result<Scheduler, Broken> {
        let store = |error: crate::store::StoreError| Broken::Store(error.to_string());
        let setup = |error: &dyn std::fmt::Display| Broken::Setup(error.to_string());
        let identity = |name: &IdentityName| WatchIdentity { name: name.clone(), looks_up: false, budget: 480.0 };
        let settings = Setup {
            settings: WatchSettings::default(),
            targets: self.targets.clone(),
            identities: self.callers.keys().map(identity).collect(),
            routes,
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
}
