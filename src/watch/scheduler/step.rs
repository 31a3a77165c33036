//! The inputs and the commands of the schedule.

use std::fmt;

use super::setup::Revision;
use crate::meet::{Priority, Read, ReadError, Reading};
use crate::model::{ConferenceName, IdentityName, TargetName};
use crate::store::{Commit, StoredConference};

/// What a read or a commit belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkKey {
    Target(TargetName),
    Conference(ConferenceName),
    Lookup(IdentityName),
}

impl fmt::Display for WorkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(name) => write!(f, "target {name}"),
            Self::Conference(name) => write!(f, "{name}"),
            Self::Lookup(identity) => write!(f, "look-ups of {identity}"),
        }
    }
}

/// What happened.
#[derive(Debug)]
pub enum SchedulerInput {
    /// Time has passed.
    Tick,
    Answered(WorkKey, Result<Reading, ReadError>),
    /// A commit succeeded or failed.
    Committed(WorkKey, bool),
    /// A commit contradicts the store, so the stored state is taken. `None` if the store has nothing that is still watched.
    Contradicted(WorkKey, Option<Box<StoredConference>>),
    /// The configuration was changed.
    Reconfigured(Box<Revision>),
}

/// What to do. The outcome comes back as a [`SchedulerInput`] with the same key.
#[derive(Debug)]
pub enum SchedulerCommand {
    Read { key: WorkKey, identity: IdentityName, priority: Priority, read: Read },
    Commit { key: WorkKey, commit: Box<Commit> },
}
