//! What a change of the configuration means for the conferences.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{IdentityName, TargetName};
use crate::watch::plan::ReadPeriods;
use crate::watch::target::Target;

/// What of the new configuration concerns a conference.
#[derive(Debug)]
pub struct ConfigDifference<'a> {
    /// Every target of the new configuration.
    pub targets: &'a BTreeMap<TargetName, Target>,
    /// For each target that continues: its name before, and its name now.
    pub continued: &'a BTreeMap<TargetName, TargetName>,
    /// The identities of the new configuration.
    pub identities: &'a BTreeSet<IdentityName>,
    /// The identities that may stand for another user than before, under the same name.
    pub replaced: &'a BTreeSet<IdentityName>,
    /// The periods where no target asks for a shorter one.
    pub periods: ReadPeriods,
    pub final_read: Duration,
}
