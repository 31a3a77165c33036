//! One change of a roster, as receivers read it. The shape is a promise: fields are only ever added within one `schema`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::event_id::EventId;
use super::names::{ConferenceName, MeetingCode, ParticipantName, SessionName, SpaceName, TargetName, UserName};
use super::resources::ParticipantKind;

/// The version of the event's shape.
pub const SCHEMA: u32 = 1;

/// Above so many participants the rows of [`Attendance`] are left out and `attendance_path` says where to read them.
pub const MAX_ATTENDANCE_ROWS: usize = 200;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EventType {
    // In the order in which events of one instant are told.
    #[serde(rename = "watch.gap")]
    WatchGap,
    #[serde(rename = "conference.started")]
    ConferenceStarted,
    #[serde(rename = "session.started")]
    SessionStarted,
    #[serde(rename = "participant.joined")]
    ParticipantJoined,
    #[serde(rename = "participant.left")]
    ParticipantLeft,
    #[serde(rename = "session.ended")]
    SessionEnded,
    #[serde(rename = "event.retracted")]
    EventRetracted,
    #[serde(rename = "conference.ended")]
    ConferenceEnded,
    #[serde(rename = "webhook.test")]
    WebhookTest,
}

impl EventType {
    /// Every type, in the order in which events of one instant are told.
    pub const ALL: [Self; 9] = [
        Self::WatchGap,
        Self::ConferenceStarted,
        Self::SessionStarted,
        Self::ParticipantJoined,
        Self::ParticipantLeft,
        Self::SessionEnded,
        Self::EventRetracted,
        Self::ConferenceEnded,
        Self::WebhookTest,
    ];

    /// The name in events, filters, labels and rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WatchGap => "watch.gap",
            Self::ConferenceStarted => "conference.started",
            Self::SessionStarted => "session.started",
            Self::ParticipantJoined => "participant.joined",
            Self::ParticipantLeft => "participant.left",
            Self::SessionEnded => "session.ended",
            Self::EventRetracted => "event.retracted",
            Self::ConferenceEnded => "conference.ended",
            Self::WebhookTest => "webhook.test",
        }
    }

    /// The type of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == text)
    }
}

/// How an event is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// Seen while looking, shortly after it happened.
    Observed,
    /// Google's time, learnt afterwards.
    Backfilled,
    /// The time is not Google's.
    Inferred,
}

impl Provenance {
    /// Every provenance.
    pub const ALL: [Self; 3] = [Self::Observed, Self::Backfilled, Self::Inferred];

    /// The name in events, filters, labels and rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Backfilled => "backfilled",
            Self::Inferred => "inferred",
        }
    }

    /// The provenance of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provenance| provenance.as_str() == text)
    }
}

/// The event of schema 1. Absent knowledge is `null`, never an empty string.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub schema: u32,
    pub id: EventId,
    #[serde(rename = "type")]
    pub event: EventType,
    /// When it happened, by Google's clock (unless `provenance` is `inferred`).
    pub time: Timestamp,
    /// When this program learnt it, by Google's clock as far as the difference is known; never before `time`.
    pub observed_at: Timestamp,
    pub provenance: Provenance,
    /// 1, 2, 3 … within the conference, without a hole. `null` without a conference.
    pub sequence: Option<u64>,
    /// Every configured target that reached the conference when the event was committed.
    pub targets: Vec<TargetName>,
    pub conference: Option<ConferenceRef>,
    pub participant: Option<ParticipantRef>,
    pub session: Option<SessionRef>,
    /// How many are in the conference after this event, counted in sequence order.
    pub present: Option<u32>,
    /// The event that this one replaces.
    pub corrects: Option<EventId>,
    /// Only on `event.retracted`: the event that is taken back and not replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retracts: Option<EventId>,
    /// Only on `participant.left`: how long this presence was, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_present: Option<f64>,
    /// Only on `conference.ended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attendance: Option<Attendance>,
    /// Only on `conference.ended` of more than [`MAX_ATTENDANCE_ROWS`] people: where the API has the rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attendance_path: Option<String>,
    /// Only on `watch.gap`.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
}

/// The conference that an event belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConferenceRef {
    pub name: ConferenceName,
    pub space: Option<SpaceName>,
    pub meeting_code: Option<MeetingCode>,
    pub start_time: Timestamp,
}

/// The person that an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParticipantRef {
    pub name: ParticipantName,
    pub kind: ParticipantKind,
    pub user: Option<UserName>,
    pub display_name: Option<Box<str>>,
    /// Only where identities are looked up.
    pub email: Option<Box<str>>,
    /// Only where identities are looked up: whether `email` lies in a configured internal domain.
    pub affiliation: Option<Affiliation>,
}

/// Whether a person belongs to the operator's own domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Affiliation {
    Internal,
    External,
}

impl Affiliation {
    /// The name in events and rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::External => "external",
        }
    }

    /// The affiliation of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Internal, Self::External].into_iter().find(|affiliation| affiliation.as_str() == text)
    }
}

/// The session that an event is about, or that made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRef {
    pub name: SessionName,
    pub start_time: Timestamp,
    pub end_time: Option<Timestamp>,
}

/// Who was in a conference, at its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attendance {
    /// The most people at one time.
    pub peak: u32,
    /// How many different participants there were.
    pub total: u32,
    /// `null` above [`MAX_ATTENDANCE_ROWS`] participants.
    pub participants: Option<Vec<AttendanceRow>>,
}

/// One participant's attendance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttendanceRow {
    pub participant: ParticipantRef,
    pub first_join: Timestamp,
    pub last_leave: Timestamp,
    /// The length of the union of the participant's sessions.
    pub seconds_present: f64,
    /// How many sessions Google recorded.
    pub sessions: u32,
}

/// A time in which nobody looked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub from: Timestamp,
    pub to: Timestamp,
    pub reason: String,
}
