//! What an operator can set about watching, validated: `config` makes these, nothing else needs to check them.

use std::time::Duration;

use crate::model::{ConferenceName, IdentityName, MeetingCode, SpaceName, TargetName};

/// `[watch]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchSettings {
    /// How often the open sessions of present participants are read, at most [`SWEEP_BATCH`] of them in turn.
    pub session_sweep: Duration,
    /// How often those that left are read.
    pub backfill: Duration,
    /// How often each target is looked up and each conference's record is read.
    pub discovery: Duration,
    /// How long somebody may be missing from complete listings before it counts as having left without Google saying so.
    pub leave_grace: Duration,
    /// How long after a conference's end it is read once more.
    pub final_read: Duration,
    /// How long an event may wait for who its participant is.
    pub lookup_wait: Duration,
}

/// How many participants one sweep asks for.
pub const SWEEP_BATCH: usize = 12;

/// How often the time of the last look is written down when nothing else is. What is remembered may be older than
/// the truth by so much, never newer.
pub const REMEMBER_EVERY: Duration = Duration::from_secs(20);

/// One `[[target]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetSettings {
    pub name: TargetName,
    pub identity: IdentityName,
    pub selector: TargetSelector,
    /// How often active participants are listed.
    pub poll_interval: Duration,
}

/// The four ways to say what to watch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TargetSelector {
    MeetingCode(MeetingCode),
    Space(SpaceName),
    Conference(ConferenceName),
    /// Every conference that the identity organizes.
    Organizer,
}

impl Default for WatchSettings {
    fn default() -> Self {
        Self {
            session_sweep: Duration::from_secs(60),
            backfill: Duration::from_secs(60),
            discovery: Duration::from_secs(30),
            leave_grace: Duration::from_secs(600),
            final_read: Duration::from_secs(600),
            lookup_wait: Duration::from_secs(1),
        }
    }
}
