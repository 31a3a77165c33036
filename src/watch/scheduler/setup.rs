//! What the schedule is made from: the configuration, and what the store remembers.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{ConferenceName, IdentityName, Route};
use crate::store::{StoredConference, TargetRow};
use crate::watch::settings::{TargetSettings, WatchSettings};

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

/// Another configuration.
#[derive(Debug, Clone)]
pub struct Revision {
    pub setup: Setup,
    /// What the store remembers of targets, also of those that were not configured until now.
    pub remembered: Vec<TargetRow>,
    /// Identities that may be somebody else now, though their names are the same.
    pub replaced: BTreeSet<IdentityName>,
    /// Identities that are the same under another name: what each was called, and is called now.
    pub renamed: BTreeMap<IdentityName, IdentityName>,
}
