//! The settings of watching. `config` validates them, so that nothing else has to.

use std::time::Duration;

use crate::model::{ConferenceName, IdentityName, MeetingCode, SpaceName, TargetName};

/// `[watch]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchSettings {
    /// How often the sessions of participants who are present are read, at most [`SWEEP_BATCH`] of them each time.
    pub session_sweep: Duration,
    /// How often the participants who left are listed.
    pub backfill: Duration,
    /// How often each target is looked up and each conference's record is read.
    pub discovery: Duration,
    /// How long somebody has to be missing from complete listings before a leave is inferred without Google's end.
    pub leave_grace: Duration,
    /// How long after its end a conference is read once more.
    pub final_read: Duration,
    /// How long an event may wait for the look-up of its participant.
    pub lookup_wait: Duration,
}

/// How many participants are on one page of a list, as Google documents it.
pub const PARTICIPANTS_A_PAGE: usize = 250;

/// How many participants one sweep reads.
pub const SWEEP_BATCH: usize = 12;

/// How often the time of the last look is stored when nothing else is. The stored time may be older than the true one by
/// this much, and is never newer.
pub const REMEMBER_EVERY: Duration = Duration::from_secs(20);

/// One `[[target]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetSettings {
    pub name: TargetName,
    pub identity: IdentityName,
    pub selector: TargetSelector,
    /// How often the participants who are present are listed.
    pub poll_interval: Duration,
}

/// Which conferences a target covers.
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
