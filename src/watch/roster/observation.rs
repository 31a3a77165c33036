//! Pure: what one complete read shows, and when.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Now;
use crate::model::{Conference, IdentityName, Participant, ParticipantName, Session};

/// What one read showed. A list of which any page failed is no observation.
#[derive(Debug, Clone)]
pub struct Observation {
    pub moment: Moment,
    /// The identity that read. Another one may be shown less.
    pub by: IdentityName,
    pub seen: Seen,
    /// Whether all of the answer could be read. If not, what it shows holds, and nothing follows from what it does not show.
    pub complete: bool,
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
    /// Everybody who is in the call. `reason` says why there was no listing since the last one, if there is a gap.
    Active { participants: Vec<Participant>, reason: &'static str },
    /// Some participants, whether or not they are in the call. It says nothing about those who are missing.
    Participants(Vec<Participant>),
    /// Everybody who was ever in the call. While the conference goes on, those without an end are in it, as for `Active`.
    /// `reason` as for `Active`.
    Everybody { participants: Vec<Participant>, reason: &'static str },
    /// One participant's sessions: `all`, or the open ones.
    Sessions { participant: ParticipantName, sessions: Vec<Session>, all: bool },
    /// A participant's sessions could not be read. `not_found`: Google said that there is no such participant.
    Unreadable { participant: ParticipantName, not_found: bool },
    /// The record was unreadable for so long that the conference is given up.
    GivenUp,
    /// Everything was read after the conference's end.
    Complete,
}

/// The times and counts that decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RosterRules {
    /// How long sessions are awaited before the participant resource alone is used for a join.
    pub sessions_wait: Duration,
    /// How long somebody has to be missing before a leave is inferred.
    pub leave_grace: Duration,
    /// How many complete listings have to miss them as well.
    pub leave_listings: u32,
    /// How often Google has to say that there is no such participant, so that the grace is not waited for.
    pub leave_refusals: u32,
    /// How long after a complete listing the conference counts as unobserved.
    pub unobserved_after: Duration,
    /// An event that is emitted later than this after its time is `backfilled`.
    pub observed_within: Duration,
    /// The delay between rechecks of a participant, at first and at most.
    pub reread: (Duration, Duration),
}

impl RosterRules {
    /// Returns the rules for a conference that is listed every `interval` and swept every `sweep`.
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
