//! The status board: the current state of conferences, targets and identities. `watch` and `meet` write it; `serve` and
//! `systemd` read it. Plain values behind one lock, which is held for a copy and never during IO. Names no person.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;

use crate::model::{ConferenceName, IdentityName, ParticipantKind, TargetName};

/// The shared board. Clones share the values.
#[derive(Debug, Clone, Default)]
pub struct StatusBoard(Arc<RwLock<Status>>);

/// The values on the board.
#[derive(Debug, Clone, Default)]
pub struct Status {
    pub conferences: BTreeMap<ConferenceName, ConferenceStatus>,
    /// How many targets are configured.
    pub configured_targets: usize,
    /// The targets with at least one successful discovery.
    pub targets: BTreeMap<TargetName, TargetStatus>,
    pub identities: BTreeMap<IdentityName, IdentityStatus>,
    /// Google's clock minus ours in whole seconds. `None` before the first answer.
    pub clock_offset_seconds: Option<i64>,
}

/// One live conference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConferenceStatus {
    pub targets: Vec<TargetName>,
    pub start: Timestamp,
    /// When its participants were last listed completely, by the local clock.
    pub last_read: Option<Timestamp>,
    /// How many are present, by the index of their kind in [`ParticipantKind::ALL`].
    pub present: [u32; ParticipantKind::ALL.len()],
    pub open_sessions: u32,
    /// The sequence number of its last event.
    pub sequence: u64,
}

/// One configured target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetStatus {
    /// When its last successful discovery was.
    pub last_discovery: Option<Timestamp>,
}

/// One configured identity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentityStatus {
    /// Whether the last request succeeded whose outcome depends on the identity itself. `None` before the first.
    pub up: Option<bool>,
    /// The name of the failure reason, if it is not up.
    pub reason: Option<&'static str>,
    /// What the operator should do about it.
    pub remedy: Option<&'static str>,
}

impl StatusBoard {
    /// Locks the board for reading. Copy what is needed and drop the guard.
    pub fn read(&self) -> RwLockReadGuard<'_, Status> {
        // A poisoned lock is harmless: each value was written as a whole.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the board for writing. Drop the guard right after the change.
    pub fn write(&self) -> RwLockWriteGuard<'_, Status> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
