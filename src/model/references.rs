//! How an event refers to a conference, a participant and a session: the name, and what receivers need beside it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::{ConferenceName, MeetingCode, ParticipantName, SessionName, SpaceName, UserName};
use super::resources::ParticipantKind;

/// The conference of an event.
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
    /// Only where identities are looked up: whether `email` is in a configured internal domain.
    pub affiliation: Option<Affiliation>,
}

crate::string_enum! {
    /// Whether a person belongs to one of the operator's own domains.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Affiliation {
        Internal = "internal",
        External = "external",
    }
}

/// The session that an event is about, or that began or ended the presence it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRef {
    pub name: SessionName,
    pub start_time: Timestamp,
    pub end_time: Option<Timestamp>,
}
