//! The methods of the two APIs, by the names that rules, tallies and refusals use.

use super::filter::Field;

/// What can be asked of the simulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    ListConferences,
    GetConference,
    ListParticipants,
    GetParticipant,
    ListSessions,
    GetSession,
    GetSpace,
    GetPerson,
    GetPeople,
    Token,
    Consent,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 11] = [
        Self::ListConferences,
        Self::GetConference,
        Self::ListParticipants,
        Self::GetParticipant,
        Self::ListSessions,
        Self::GetSession,
        Self::GetSpace,
        Self::GetPerson,
        Self::GetPeople,
        Self::Token,
        Self::Consent,
    ];

    /// The name in scripts and tallies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ListConferences => "conferenceRecords.list",
            Self::GetConference => "conferenceRecords.get",
            Self::ListParticipants => "participants.list",
            Self::GetParticipant => "participants.get",
            Self::ListSessions => "participantSessions.list",
            Self::GetSession => "participantSessions.get",
            Self::GetSpace => "spaces.get",
            Self::GetPerson => "people.get",
            Self::GetPeople => "people.batchGet",
            Self::Token => "token",
            Self::Consent => "auth",
        }
    }

    /// The method of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }

    /// Whether it answers with a list in pages.
    #[must_use]
    pub const fn is_list(self) -> bool {
        matches!(self, Self::ListConferences | Self::ListParticipants | Self::ListSessions)
    }

    /// Whether it reads (and so needs a token and costs quota), rather than dealing in tokens itself.
    #[must_use]
    pub const fn is_read(self) -> bool {
        !matches!(self, Self::Token | Self::Consent)
    }

    /// The host that Google serves it from.
    #[must_use]
    pub const fn service(self) -> &'static str {
        match self {
            Self::GetPerson | Self::GetPeople => "people.googleapis.com",
            Self::Token | Self::Consent => "oauth2.googleapis.com",
            _ => "meet.googleapis.com",
        }
    }

    /// The full RPC name, which refusals quote.
    #[must_use]
    pub const fn rpc(self) -> &'static str {
        match self {
            Self::ListConferences => "google.apps.meet.v2.ConferenceRecordsService.ListConferenceRecords",
            Self::GetConference => "google.apps.meet.v2.ConferenceRecordsService.GetConferenceRecord",
            Self::ListParticipants => "google.apps.meet.v2.ConferenceRecordsService.ListParticipants",
            Self::GetParticipant => "google.apps.meet.v2.ConferenceRecordsService.GetParticipant",
            Self::ListSessions => "google.apps.meet.v2.ConferenceRecordsService.ListParticipantSessions",
            Self::GetSession => "google.apps.meet.v2.ConferenceRecordsService.GetParticipantSession",
            Self::GetSpace => "google.apps.meet.v2.SpacesService.GetSpace",
            Self::GetPerson => "google.people.v1.PeopleService.GetPerson",
            Self::GetPeople => "google.people.v1.PeopleService.GetBatchGet",
            Self::Token => "token",
            Self::Consent => "auth",
        }
    }

    /// The query parameters it knows, besides those that every method has.
    pub(super) const fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::ListConferences | Self::ListParticipants | Self::ListSessions => &["pageSize", "pageToken", "filter"],
            Self::GetPerson => &["personFields", "sources", "requestMask.includeField"],
            Self::GetPeople => &["personFields", "sources", "requestMask.includeField", "resourceNames"],
            _ => &[],
        }
    }

    /// The fields that its filter knows.
    pub(super) const fn filter_fields(self) -> &'static [Field] {
        match self {
            Self::ListConferences => &[Field::MeetingCode, Field::SpaceName, Field::StartTime, Field::EndTime],
            Self::ListParticipants => &[Field::EarliestStartTime, Field::LatestEndTime],
            Self::ListSessions => &[Field::StartTime, Field::EndTime],
            _ => &[],
        }
    }

    /// Default and maximum page size.
    pub(super) const fn page_sizes(self) -> (usize, usize) {
        match self {
            Self::ListConferences => (25, 100),
            _ => (100, 250),
        }
    }

    /// The scopes of which a token needs one.
    #[must_use]
    pub const fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::GetSpace => &[
                "https://www.googleapis.com/auth/meetings.space.readonly",
                "https://www.googleapis.com/auth/meetings.space.created",
                "https://www.googleapis.com/auth/meetings.space.settings",
            ],
            Self::GetPerson | Self::GetPeople => &[
                "https://www.googleapis.com/auth/directory.readonly",
                "https://www.googleapis.com/auth/contacts.readonly",
                "https://www.googleapis.com/auth/contacts.other.readonly",
                "https://www.googleapis.com/auth/contacts",
                "https://www.googleapis.com/auth/userinfo.profile",
                "https://www.googleapis.com/auth/userinfo.email",
            ],
            Self::Token | Self::Consent => &[],
            _ => &[
                "https://www.googleapis.com/auth/meetings.space.readonly",
                "https://www.googleapis.com/auth/meetings.space.created",
            ],
        }
    }
}
