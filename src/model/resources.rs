//! Google's resources, parsed: the same content as in the API's JSON, with names and times checked.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::{ConferenceName, MeetingCode, ParticipantName, SessionName, SpaceName, UserName};

/// The longest display name that is kept, in characters. Guests type their own, so it has to be bounded.
const MAX_DISPLAY_NAME_CHARS: usize = 256;

crate::string_enum! {
    /// How a participant is known to Google. Declared in the order in which kinds are shown.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum ParticipantKind {
        /// A Google account, of a person or a room device.
        SignedIn = "signed_in",
        /// A guest who typed a name.
        Anonymous = "anonymous",
        /// A telephone.
        Phone = "phone",
        /// None of the kinds that the API documents today.
        Unknown = "unknown",
    }
}

/// One `conferenceRecords/…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conference {
    pub name: ConferenceName,
    pub space: Option<SpaceName>,
    pub start: Timestamp,
    /// `None` while the conference is live.
    pub end: Option<Timestamp>,
    /// When Google deletes the record: 30 days after its end.
    pub expire: Option<Timestamp>,
}

/// One `conferenceRecords/…/participants/…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    pub name: ParticipantName,
    pub kind: ParticipantKind,
    /// Only for a signed-in participant.
    pub user: Option<UserName>,
    /// At most 256 characters, as the person typed them: escape it for each sink.
    pub display_name: Option<Box<str>>,
    pub earliest_start: Option<Timestamp>,
    /// Absent while the participant is in the call.
    pub latest_end: Option<Timestamp>,
}

/// One `…/participantSessions/…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub name: SessionName,
    pub start: Timestamp,
    pub end: Option<Timestamp>,
}

/// One `spaces/…`, as far as this program uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    pub name: SpaceName,
    pub meeting_code: Option<MeetingCode>,
    /// The conference that is live in this space. Google shows it to the owner and the participants only.
    pub active_conference: Option<ConferenceName>,
}

/// A signed-in participant, as the People API describes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub user: UserName,
    pub display_name: Option<Box<str>>,
    pub email: Option<Box<str>>,
}

/// Cuts a name that somebody typed to 256 characters. Returns `None` for an empty one.
#[must_use]
pub fn display_name(text: &str) -> Option<Box<str>> {
    let cut = text.char_indices().nth(MAX_DISPLAY_NAME_CHARS).map_or(text.len(), |(at, _)| at);
    (!text.is_empty()).then(|| text[..cut].into())
}
