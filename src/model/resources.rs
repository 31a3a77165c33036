//! What Google told us about its resources, parsed: the same things as on the wire, in types that cannot be wrong.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::{ConferenceName, MeetingCode, ParticipantName, SessionName, SpaceName, UserName};

/// The longest display name that is kept, in characters. What a guest types is longer only to do harm.
pub const MAX_DISPLAY_NAME_CHARS: usize = 256;

/// How a participant is known to Google. The label values of every metric and filter that speaks of kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParticipantKind {
    /// A Google account, a person's or a room device's.
    SignedIn,
    /// A guest who typed a name.
    Anonymous,
    /// A telephone.
    Phone,
    /// None of the kinds that the API documents today.
    Unknown,
}

impl ParticipantKind {
    /// Every kind, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::SignedIn, Self::Anonymous, Self::Phone, Self::Unknown];

    /// The name in events, labels, filters and rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignedIn => "signed_in",
            Self::Anonymous => "anonymous",
            Self::Phone => "phone",
            Self::Unknown => "unknown",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One `conferenceRecords/…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conference {
    pub name: ConferenceName,
    pub space: Option<SpaceName>,
    pub start: Timestamp,
    /// Set once the conference is over, and only then.
    pub end: Option<Timestamp>,
    /// When Google forgets the record: 30 days after its end.
    pub expire: Option<Timestamp>,
}

/// One `conferenceRecords/…/participants/…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    pub name: ParticipantName,
    pub kind: ParticipantKind,
    /// Only for a signed-in participant.
    pub user: Option<UserName>,
    /// At most [`MAX_DISPLAY_NAME_CHARS`] characters, as the person typed them: escape it for each sink.
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

/// One `spaces/…`, as far as watching needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    pub name: SpaceName,
    pub meeting_code: Option<MeetingCode>,
    /// The conference that is live in this space, shown to its owner and participants only.
    pub active_conference: Option<ConferenceName>,
}

/// Who a signed-in participant is, as the People API tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub user: UserName,
    pub display_name: Option<Box<str>>,
    pub email: Option<Box<str>>,
}

/// Cuts a name that somebody typed at [`MAX_DISPLAY_NAME_CHARS`] characters; an empty one is no name.
#[must_use]
pub fn display_name(text: &str) -> Option<Box<str>> {
    let cut = text.char_indices().nth(MAX_DISPLAY_NAME_CHARS).map_or(text.len(), |(at, _)| at);
    (!text.is_empty()).then(|| text[..cut].into())
}
