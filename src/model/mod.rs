//! The words of the program as plain data: names, kinds, resources, events, and which endpoint wants which event.
//!
//! Nothing here reads a clock, does IO or knows a foreign format, so every other room may use it.

pub mod batch_id;
pub mod event;
pub mod event_id;
pub mod names;
pub mod resources;
pub mod route;
pub mod text;

pub use batch_id::BatchId;
pub use event::{
    Attendance, AttendanceRow, ConferenceRef, Event, EventType, Gap, ParticipantRef, Provenance, SessionRef,
};
pub use event_id::{EventId, EventKey, Source};
pub use names::{
    ConferenceName, EndpointName, IdentityName, InvalidName, MeetingCode, ParticipantName, SessionName, SpaceName,
    TargetName, UserName,
};
pub use resources::{Conference, Participant, ParticipantKind, Person, Session, Space};
pub use route::Route;
