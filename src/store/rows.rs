//! What `watch` hands over to be kept, and what it gets back after a restart.

use jiff::Timestamp;

use crate::model::event::Affiliation;
use crate::model::{
    ConferenceName, EndpointName, EventId, EventType, IdentityName, Kind, MeetingCode, ParticipantName, Provenance,
    SessionName, Source, SpaceName, TargetName, UserName,
};

/// Everything that one observation justifies. All of it is written, or nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Commit {
    /// The conference as it is now.
    pub conference: Option<ConferenceRow>,
    /// Those participants that are new or changed.
    pub participants: Vec<ParticipantRow>,
    /// Those sessions that are new or changed.
    pub sessions: Vec<SessionRow>,
    /// What is new, in sequence order.
    pub events: Vec<NewEvent>,
    /// Those targets whose memory changed.
    pub targets: Vec<TargetRow>,
}

/// All that is kept of a conference itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConferenceRow {
    pub name: ConferenceName,
    pub space: Option<SpaceName>,
    pub meeting_code: Option<MeetingCode>,
    pub start: Timestamp,
    /// When it ended: Google's word, or an inference.
    pub end: Option<(Timestamp, Source)>,
    pub phase: Phase,
    /// The targets that reach it.
    pub targets: Vec<TargetName>,
    /// The identity that saw it last.
    pub identity: Option<IdentityName>,
    /// How many events with a sequence it has had.
    pub last_sequence: u64,
    /// How many are present after the last event.
    pub present: u32,
    /// The last complete listing, by our clock. Written in batches: it may be early, never late.
    pub last_listed: Option<Timestamp>,
    /// Participants that left before this time are known.
    pub backfilled_to: Option<Timestamp>,
    /// When to read it once more.
    pub final_read_due: Option<Timestamp>,
}

/// How far a conference has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Not told as ended.
    Live,
    /// Told as ended; one more reading is due.
    Ended,
    /// Nothing follows any more.
    Closed,
}

impl Phase {
    /// The name in rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Ended => "ended",
            Self::Closed => "closed",
        }
    }

    /// The phase of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Live, Self::Ended, Self::Closed].into_iter().find(|phase| phase.as_str() == text)
    }
}

/// A participant, without its sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParticipantRow {
    pub name: ParticipantName,
    pub kind: Kind,
    pub user: Option<UserName>,
    pub display_name: Option<Box<str>>,
    pub earliest_start: Option<Timestamp>,
    pub latest_end: Option<Timestamp>,
    pub email: Option<Box<str>>,
    pub affiliation: Option<Affiliation>,
    /// While the person is present: the identity whose listing showed it last. Absence counts only under that one.
    pub seen_by: Option<IdentityName>,
    /// While the person is missing: the last listing that showed it.
    pub last_seen: Option<Timestamp>,
}

/// A session as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    pub name: SessionName,
    pub start: Timestamp,
    /// `None` while it is open.
    pub end: Option<(Timestamp, Source)>,
}

/// An event with its frozen bytes and what the store needs to know of it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    pub id: EventId,
    pub event: EventType,
    pub conference: Option<ConferenceName>,
    pub participant: Option<ParticipantName>,
    pub session: Option<SessionName>,
    pub sequence: Option<u64>,
    pub time: Timestamp,
    pub observed_at: Timestamp,
    pub provenance: Provenance,
    pub source: Source,
    /// How often the same was told and taken back before.
    pub n: u32,
    /// The event that this one corrects or retracts: it is told no longer, and whoever was owed it is owed this.
    pub takes_back: Option<EventId>,
    /// The event of schema 1 as JSON, exactly as receivers will read it.
    pub body: Box<str>,
    /// The endpoints whose filters want it.
    pub owed_to: Vec<EndpointName>,
}

/// What a target remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetRow {
    pub name: TargetName,
    /// What is watched for its sake began here: an earlier end is not reported.
    pub watched_since: Timestamp,
    /// Conferences that ended before this time are known.
    pub discovered_to: Option<Timestamp>,
    /// When it was last looked up with success.
    pub last_looked: Option<Timestamp>,
}

/// One unfinished conference, as it was committed last.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredConference {
    pub conference: ConferenceRow,
    pub participants: Vec<ParticipantRow>,
    pub sessions: Vec<SessionRow>,
    /// Every event of it that states a fact, and the gaps, in sequence order.
    pub emitted: Vec<EmittedRow>,
}

/// One event of the log, as far as the roster needs it: what was told, and whether it still stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmittedRow {
    pub event: EventType,
    pub participant: Option<ParticipantName>,
    pub session: Option<SessionName>,
    pub time: Timestamp,
    pub observed_at: Timestamp,
    pub provenance: Provenance,
    pub source: Source,
    pub n: u32,
    /// Its place in the conference's log.
    pub sequence: u64,
    /// False once a later event corrected or retracted it.
    pub stands: bool,
}
