//! Pure: what one complete read tells, and when.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Now;
use crate::model::{Conference, IdentityName, Participant, ParticipantName, Session};

/// What one complete read told. A list of which any page failed is none.
#[derive(Debug, Clone)]
pub struct Observation {
    pub moment: Moment,
    /// Who looked: another identity may see less.
    pub by: IdentityName,
    pub seen: Seen,
}

/// When something was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub now: Now,
    /// The same instant by Google's clock, as far as the difference is known.
    pub google: Timestamp,
}

/// What was read.
#[derive(Debug, Clone)]
pub enum Seen {
    /// The conference record.
    Record(Conference),
    /// Everybody who is in the call. `reason`: what kept us from listing since the last time, if anything did.
    Active { participants: Vec<Participant>, reason: &'static str },
    /// Some participants, whether they are in the call or not. Nobody's absence means anything.
    People(Vec<Participant>),
    /// Everybody who ever was in it, complete. `reason` as for `Active`.
    Everybody { participants: Vec<Participant>, reason: &'static str },
    /// One participant's sessions.
    Sessions { participant: ParticipantName, sessions: Vec<Session>, all: bool },
    /// A participant's sessions could not be read: try again later. `gone`: Google says there is no such participant.
    Unreadable { participant: ParticipantName, gone: bool },
    /// Nobody could read the record for so long that the conference is given up.
    Lost,
    /// After the conference's end everything was read once more.
    Complete,
}

/// The times that decide, from the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RosterRules {
    /// How long somebody without a readable session is waited for before the participant resource has to do.
    pub sessions_wait: Duration,
    /// How long somebody has to be missing before it is concluded that they left.
    pub leave_grace: Duration,
    /// How many complete listings have to miss them, too.
    pub leave_listings: u32,
    /// How often a missing participant has to be refused by Google before that counts as having left, too.
    pub leave_refusals: u32,
    /// Without a complete listing for so long, nobody looked.
    pub unobserved_after: Duration,
    /// What is told later than this after it happened is told as `backfilled`.
    pub observed_within: Duration,
    /// How soon a person whose sessions do not fit is read again, at first and at the most.
    pub reread: (Duration, Duration),
}

impl RosterRules {
    /// The rules for a conference that is listed every `interval` and swept every `sweep`.
    #[must_use]
    pub fn new(interval: Duration, sweep: Duration, leave_grace: Duration) -> Self {
        Self {
            sessions_wait: Duration::from_secs(15),
            leave_grace,
            leave_listings: 3,
            leave_refusals: 3,
            unobserved_after: (interval * 3).max(Duration::from_secs(60)),
            observed_within: Duration::from_secs(120) + sweep,
            reread: (Duration::from_secs(10), Duration::from_secs(120)),
        }
    }
}
