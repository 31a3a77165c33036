//! What the schedule is made from: the configuration, and what the store remembers.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{ConferenceName, IdentityName, Route};
use crate::store::{StoredConference, TargetRow};
use crate::watch::settings::{TargetSettings, WatchSettings};

/// The configuration of the schedule.
#[derive(Debug, Clone)]
pub struct Setup {
    pub settings: WatchSettings,
    pub targets: Vec<TargetSettings>,
    pub identities: Vec<WatchIdentity>,
    /// Which endpoint gets which event.
    pub routes: Vec<Route>,
    pub internal_domains: Vec<String>,
    /// How many reads a minute all identities may make together, at most.
    pub project_budget: f64,
}

impl Setup {
    /// Returns each identity with its limit of reads a minute.
    pub(super) fn limits(&self) -> impl Iterator<Item = (&IdentityName, f64)> {
        self.identities.iter().map(|identity| (&identity.name, identity.budget))
    }
}

/// One identity of the configuration.
#[derive(Debug, Clone)]
pub struct WatchIdentity {
    pub name: IdentityName,
    /// Whether it looks up who signed-in participants are.
    pub looks_up: bool,
    /// How many reads a minute it may make, at most.
    pub budget: f64,
}

/// What the store remembers.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    pub conferences: Vec<StoredConference>,
    pub targets: Vec<TargetRow>,
    /// The conferences of which nothing is emitted any more.
    pub finished: BTreeSet<ConferenceName>,
}

/// Another configuration.
#[derive(Debug, Clone)]
pub struct Revision {
    pub setup: Setup,
    /// The stored rows of targets, including those that were not configured until now.
    pub remembered: Vec<TargetRow>,
    /// The identities that may stand for another user than before, under the same name.
    pub replaced: BTreeSet<IdentityName>,
    /// The identities that have another name now: the name before, and the name now.
    pub renamed: BTreeMap<IdentityName, IdentityName>,
}
