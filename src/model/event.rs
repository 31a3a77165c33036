//! An event: one change of a roster, in the JSON form that receivers read.
//!
//! The shape is a promise to receivers. Within one `schema`, fields are only ever added.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::attendance::Attendance;
use super::event_id::EventId;
use super::event_type::EventType;
use super::names::TargetName;
use super::provenance::Provenance;
pub use super::references::{Affiliation, ConferenceRef, ParticipantRef, SessionRef};

/// The version of the event's shape.
pub const SCHEMA: u32 = 1;

/// An event of schema 1. What is not known is `null`, never an empty string.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub schema: u32,
    pub id: EventId,
    #[serde(rename = "type")]
    pub event: EventType,
    /// When it happened, by Google's clock (unless `provenance` is `inferred`).
    pub time: Timestamp,
    /// When this program learnt of it, by Google's clock as far as the difference is known. Never before `time`.
    pub observed_at: Timestamp,
    pub provenance: Provenance,
    /// 1, 2, 3 … within the conference, without a hole. `null` without a conference.
    pub sequence: Option<u64>,
    /// Every configured target that covered the conference when the event was committed.
    pub targets: Vec<TargetName>,
    pub conference: Option<ConferenceRef>,
    pub participant: Option<ParticipantRef>,
    pub session: Option<SessionRef>,
    /// How many are in the conference after this event, counted in sequence order.
    pub present: Option<u32>,
    /// The event that this one replaces.
    pub corrects: Option<EventId>,
    /// Only on `event.retracted`: the event that is withdrawn and not replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retracts: Option<EventId>,
    /// Only on `participant.left`: how long this presence lasted, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_present: Option<f64>,
    /// Only on `conference.ended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attendance: Option<Attendance>,
    /// Only on `conference.ended` of more than [`MAX_ATTENDANCE_ROWS`](super::attendance::MAX_ATTENDANCE_ROWS) people: where
    /// the API has the rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attendance_path: Option<String>,
    /// Only on `watch.gap`.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
}

impl Event {
    /// Returns an event that has only what every event has. The caller fills in what belongs to its type.
    #[must_use]
    pub fn new(id: EventId, event: EventType, time: Timestamp, observed_at: Timestamp, provenance: Provenance) -> Self {
        Self {
            schema: SCHEMA,
            id,
            event,
            time,
            observed_at,
            provenance,
            sequence: None,
            targets: Vec::new(),
            conference: None,
            participant: None,
            session: None,
            present: None,
            corrects: None,
            retracts: None,
            seconds_present: None,
            attendance: None,
            attendance_path: None,
            gap: None,
        }
    }
}

/// A time in which a conference or a target was not observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub from: Timestamp,
    pub to: Timestamp,
    pub reason: String,
}
