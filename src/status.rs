//! What goes on right now, as `watch` writes it and `serve` reads it. Plain values behind one lock that is held for a
//! copy and never over IO; nothing here is a person.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;

use crate::model::{ConferenceName, IdentityName, ParticipantKind, TargetName};

/// The shared board. Clones show the same.
#[derive(Debug, Clone, Default)]
pub struct StatusBoard(Arc<RwLock<Status>>);

/// Everything that is on the board.
#[derive(Debug, Clone, Default)]
pub struct Status {
    pub conferences: BTreeMap<ConferenceName, ConferenceStatus>,
    /// How many targets are configured.
    pub configured_targets: usize,
    /// Those that were looked up with success at least once.
    pub targets: BTreeMap<TargetName, TargetStatus>,
    pub identities: BTreeMap<IdentityName, IdentityStatus>,
}

/// One live conference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConferenceStatus {
    pub targets: Vec<TargetName>,
    pub start: Timestamp,
    /// When its participants were last listed completely, by our clock.
    pub last_read: Option<Timestamp>,
    /// How many are present, by the index of their kind in [`ParticipantKind::ALL`].
    pub present: [u32; ParticipantKind::ALL.len()],
    pub open_sessions: u32,
    /// How many events it has had.
    pub sequence: u64,
}

/// One configured target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetStatus {
    /// When it was last looked up with success.
    pub last_discovery: Option<Timestamp>,
}

/// How an identity fares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentityStatus {
    /// Whether its last read that says something about the identity itself went well. `None` before the first.
    pub up: Option<bool>,
    /// Why not, as the reason's name.
    pub reason: Option<&'static str>,
    /// What the operator has to do.
    pub remedy: Option<&'static str>,
}

impl StatusBoard {
    /// Reads the board. Copy out what is needed and let go.
    pub fn read(&self) -> RwLockReadGuard<'_, Status> {
        // A writer that panicked left plain values behind, each whole: they are still the best that is known.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the board. Hold it for the change alone.
    pub fn write(&self) -> RwLockWriteGuard<'_, Status> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
