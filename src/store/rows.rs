//! The rows that `watch` commits and reads back after a restart, and the rows of the log.

use jiff::Timestamp;

use crate::model::event::Affiliation;
use crate::model::{
    ConferenceName, EndpointName, EventId, EventType, IdentityName, MeetingCode, ParticipantKind, ParticipantName,
    Provenance, SessionName, Source, SpaceName, TargetName, UserName,
};

/// Everything that one observation changed. It is written whole, or not at all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Commit {
    /// The conference as it is now.
    pub conference: Option<ConferenceRow>,
    /// New and changed participants.
    pub participants: Vec<ParticipantRow>,
    /// New and changed sessions.
    pub sessions: Vec<SessionRow>,
    /// New events, in sequence order.
    pub events: Vec<NewEvent>,
    /// Targets whose progress changed.
    pub targets: Vec<TargetRow>,
}

/// A conference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConferenceRow {
    pub name: ConferenceName,
    pub space: Option<SpaceName>,
    pub meeting_code: Option<MeetingCode>,
    pub start: Timestamp,
    /// When it ended, by Google's record or by inference.
    pub end: Option<(Timestamp, Source)>,
    pub phase: Phase,
    /// The targets that reach it.
    pub targets: Vec<TargetName>,
    /// The identity that read it last.
    pub identity: Option<IdentityName>,
    /// The sequence number of its last event; 0 before the first.
    pub last_sequence: u64,
    /// How many people are present after the last event.
    pub present: u32,
    /// The time of the last complete listing, by our clock. Written in batches: it may be early, never late.
    pub last_listed: Option<Timestamp>,
    /// Participants that left before this time are known.
    pub backfilled_to: Option<Timestamp>,
    /// When its closing read is due.
    pub final_read_due: Option<Timestamp>,
}

crate::string_enum! {
    /// How far a conference has come.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Phase {
        /// Its end was not emitted.
        Live = "live",
        /// Its end was emitted; one more read is due.
        Ended = "ended",
        /// No event follows any more.
        Closed = "closed",
    }
}

/// A participant, without its sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParticipantRow {
    pub name: ParticipantName,
    pub kind: ParticipantKind,
    pub user: Option<UserName>,
    pub display_name: Option<Box<str>>,
    pub earliest_start: Option<Timestamp>,
    pub latest_end: Option<Timestamp>,
    pub email: Option<Box<str>>,
    pub affiliation: Option<Affiliation>,
    /// The identity whose listing showed the participant last; set while present. Absence counts only in its listings.
    pub seen_by: Option<IdentityName>,
    /// The last listing that showed the participant; set while missing.
    pub last_seen: Option<Timestamp>,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    pub name: SessionName,
    pub start: Timestamp,
    /// `None` while it is open.
    pub end: Option<(Timestamp, Source)>,
}

/// A new event: its frozen body, and what the store has to know about it.
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
    /// How often the same event was emitted and taken back before.
    pub n: u32,
    /// The event that this one corrects or retracts. Every endpoint that has a delivery of that event gets this one
    /// too.
    pub takes_back: Option<EventId>,
    /// The event of schema 1 as JSON, exactly as receivers read it.
    pub body: Box<str>,
    /// The endpoints whose filters select it.
    pub owed_to: Vec<EndpointName>,
}

/// The progress of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetRow {
    pub name: TargetName,
    /// When watching it began: conferences that ended earlier are not reported.
    pub watched_since: Timestamp,
    /// Conferences that ended before this time are known.
    pub discovered_to: Option<Timestamp>,
    /// When it was last looked up successfully.
    pub last_looked: Option<Timestamp>,
}

/// A conference with everything that is stored about it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredConference {
    pub conference: ConferenceRow,
    pub participants: Vec<ParticipantRow>,
    pub sessions: Vec<SessionRow>,
    /// Its events that state a fact or a gap, in sequence order.
    pub emitted: Vec<EmittedRow>,
}

/// One event of the log, as far as the roster needs it.
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
    /// Its number among the conference's events.
    pub sequence: u64,
    /// False once a later event corrected or retracted it.
    pub stands: bool,
}

/// One event of the log as it was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Its position in the log; later events have greater positions.
    pub position: u64,
    pub id: EventId,
    /// The event as JSON, exactly as receivers read it.
    pub body: Box<str>,
    /// The event that corrected or retracted it.
    pub taken_back_by: Option<EventId>,
}
