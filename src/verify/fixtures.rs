//! The targets and identities of a history, and as which Google user each identity reads.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prometheus::{IntCounterVec, Opts, Registry};

use super::history::HistoryError;
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

/// The targets and identities of a history.
#[derive(Debug)]
pub(super) struct Fixtures {
    targets: Vec<TargetSettings>,
    callers: BTreeMap<IdentityName, Caller>,
    /// The callers of former identity names, whose reads may still be in flight.
    former: BTreeMap<IdentityName, Caller>,
    settings: WatchSettings,
    /// How many reads a minute each identity may make.
    budget: f64,
    organizer: Caller,
    /// The conferences that are watched by name, if the scenario does so.
    pub named: Vec<ConferenceName>,
}

impl Fixtures {
    /// Creates the targets and identities of a scenario. The world already has its spaces, and its first conferences if
    /// they are watched by name.
    pub(super) fn new(scenario: &Scenario, world: &World, random: &mut Random) -> Result<Self, HistoryError> {
        let setup = |error: crate::model::InvalidName| HistoryError::Setup(error.to_string());
        let (one, two) =
            (IdentityName::parse(ORGANIZING).map_err(setup)?, IdentityName::parse("helper").map_err(setup)?);
        let organizer = world.person_by_email(ORGANIZER).map_or(Caller::Anybody, Caller::User);
        let mut fixtures = Self {
            targets: Vec::new(),
            callers: BTreeMap::from([(one.clone(), organizer), (two.clone(), Caller::Anybody)]),
            former: BTreeMap::new(),
            settings: WatchSettings::default(),
            budget: scenario.budget,
            organizer,
            named: Vec::new(),
        };
        match scenario.watch {
            Watching::Organizer => fixtures.watch("all", &one, TargetSelector::Organizer)?,
            Watching::Codes => fixtures.watch_codes(world, &one)?,
            Watching::Spaces => {
                for (number, (_, space)) in world.spaces().enumerate() {
                    fixtures.watch(&format!("space{number}"), &one, TargetSelector::Space(space.name.clone()))?;
                }
            }
            Watching::Conferences => {
                fixtures.named = world.conferences().map(|conference| conference.conference).collect();
                for (number, name) in fixtures.named.clone().into_iter().enumerate() {
                    fixtures.watch(&format!("conference{number}"), &one, TargetSelector::Conference(name))?;
                }
            }
            Watching::Two => {
                fixtures.watch("all", &one, TargetSelector::Organizer)?;
                fixtures.watch_codes(world, &two)?;
            }
            Watching::Guest => {
                let known = |number: &u32| world.person_by_email(&format!("person{number}@example.com"));
                let guests: Vec<_> = (1..100).filter_map(|number| known(&number)).collect();
                let guest = guests.get(random.usize(0..guests.len().max(1))).copied();
                fixtures.callers.insert(two.clone(), guest.map_or(Caller::Anybody, Caller::User));
                fixtures.watch_codes(world, &two)?;
            }
        }
        Ok(fixtures)
    }

    fn watch_codes(&mut self, world: &World, identity: &IdentityName) -> Result<(), HistoryError> {
        for (number, (_, space)) in world.spaces().enumerate() {
            self.watch(&format!("code{number}"), identity, TargetSelector::MeetingCode(space.code.clone()))?;
        }
        Ok(())
    }

    fn watch(&mut self, name: &str, identity: &IdentityName, selector: TargetSelector) -> Result<(), HistoryError> {
        let name = TargetName::parse(name).map_err(|error| HistoryError::Setup(error.to_string()))?;
        let poll_interval = Duration::from_secs(10);
        self.targets.push(TargetSettings { name, identity: identity.clone(), selector, poll_interval });
        Ok(())
    }

    /// Returns the targets whose discovery lists ended conferences as well as live ones: those of the organizer.
    pub(super) fn targets_that_list_the_ended(&self) -> Vec<&TargetName> {
        let organizer = |target: &&TargetSettings| self.caller(&target.identity) == self.organizer;
        let lists = |target: &&TargetSettings| !matches!(target.selector, TargetSelector::Conference(_));
        self.targets.iter().filter(organizer).filter(lists).map(|target| &target.name).collect()
    }

    /// Returns the Google user as which an identity reads.
    pub(super) fn caller(&self, identity: &IdentityName) -> Caller {
        let caller = self.callers.get(identity).or_else(|| self.former.get(identity));
        caller.copied().unwrap_or(Caller::ServiceAccount)
    }

    /// Returns the settings of the scheduler.
    pub(super) fn setup(&self, routes: Vec<Route>) -> Setup {
        let identity = |name: &IdentityName| WatchIdentity { name: name.clone(), looks_up: false, budget: self.budget };
        Setup {
            settings: self.settings,
            targets: self.targets.clone(),
            identities: self.callers.keys().map(identity).collect(),
            routes,
            internal_domains: Vec::new(),
            project_budget: 10.0 * self.budget,
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

    /// Renames every target.
    pub(super) fn rename_targets(&mut self) -> Result<(), HistoryError> {
        for target in &mut self.targets {
            target.name = TargetName::parse(&other_name(target.name.as_str())).map_err(invalid)?;
        }
        Ok(())
    }

    /// Swaps the names of the first two targets, if there are two.
    pub(super) fn swap_targets(&mut self) {
        if let [one, two, ..] = self.targets.as_mut_slice() {
            std::mem::swap(&mut one.name, &mut two.name);
        }
    }

    /// Renames every identity. Returns the new names by the old ones.
    pub(super) fn rename_identities(&mut self) -> Result<BTreeMap<IdentityName, IdentityName>, HistoryError> {
        let mut renamed = BTreeMap::new();
        for (name, caller) in std::mem::take(&mut self.callers) {
            let new = IdentityName::parse(&other_name(name.as_str())).map_err(invalid)?;
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

    /// Returns a scheduler that starts on a store.
    pub(super) fn scheduler(
        &self,
        db: &Db,
        routes: Vec<Route>,
        seed: u64,
        now: Now,
    ) -> Result<Scheduler, HistoryError> {
        let store = |error: crate::store::StoreError| HistoryError::Store(error.to_string());
        let setup = |error: &dyn std::fmt::Display| HistoryError::Setup(error.to_string());
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

/// Returns another name. Applied twice, it returns the first one.
fn other_name(name: &str) -> String {
    name.strip_suffix(".b").map_or_else(|| format!("{name}.b"), str::to_owned)
}

fn invalid(error: crate::model::InvalidName) -> HistoryError {
    HistoryError::Setup(error.to_string())
}
