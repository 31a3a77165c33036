//! The domain types as plain data: names, resources, events, and which endpoint gets which event.
//!
//! Nothing here reads a clock, does IO or knows a foreign format, so that every other module may depend on it.

pub mod attendance;
pub mod batch_id;
pub mod event;
pub mod event_id;
mod event_type;
pub mod names;
mod nearest;
mod provenance;
mod references;
pub mod resources;
pub mod route;
mod string_enum;
pub mod text;

pub use attendance::{Attendance, AttendanceRow};
pub use batch_id::BatchId;
pub use event::{Event, Gap};
pub use event_id::{EventId, EventKey};
pub use event_type::EventType;
pub use names::{
    ConferenceName, EndpointName, IdentityName, InvalidName, MeetingCode, ParticipantName, SessionName, SpaceName,
    TargetName, UserName,
};
pub use nearest::nearest;
pub use provenance::{Provenance, Source};
pub use references::{Affiliation, ConferenceRef, ParticipantRef, SessionRef};
pub use resources::{Conference, Participant, ParticipantKind, Person, Session, Space};
pub use route::Route;
