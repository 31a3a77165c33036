//! The methods of the two APIs, with the names that fault rules, counters and errors use.

use super::filter::Field;

crate::string_enum! {
    /// A method of the simulated APIs.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum GoogleMethod {
        ListConferences = "conferenceRecords.list",
        GetConference = "conferenceRecords.get",
        ListParticipants = "participants.list",
        GetParticipant = "participants.get",
        ListSessions = "participantSessions.list",
        GetSession = "participantSessions.get",
        GetSpace = "spaces.get",
        GetPerson = "people.get",
        GetPeople = "people.batchGet",
        Token = "token",
        Consent = "auth",
    }
}

impl GoogleMethod {
    /// Returns whether it answers with a paged list.
    #[must_use]
    pub const fn is_list(self) -> bool {
        matches!(self, Self::ListConferences | Self::ListParticipants | Self::ListSessions)
    }

    /// Returns whether it reads data, and so needs a token and uses quota. `Token` and `Consent` do not.
    #[must_use]
    pub const fn is_read(self) -> bool {
        !matches!(self, Self::Token | Self::Consent)
    }

    /// Returns the host that Google serves it from.
    #[must_use]
    pub const fn service(self) -> &'static str {
        match self {
            Self::GetPerson | Self::GetPeople => "people.googleapis.com",
            Self::Token | Self::Consent => "oauth2.googleapis.com",
            _ => "meet.googleapis.com",
        }
    }

    /// Returns the full RPC name, which errors quote.
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

    /// Returns the query parameters it accepts, besides those of every method.
    pub(super) const fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::ListConferences | Self::ListParticipants | Self::ListSessions => &["pageSize", "pageToken", "filter"],
            Self::GetPerson => &["personFields", "sources", "requestMask.includeField"],
            Self::GetPeople => &["personFields", "sources", "requestMask.includeField", "resourceNames"],
            _ => &[],
        }
    }

    /// Returns the fields that its filter accepts.
    pub(super) const fn filter_fields(self) -> &'static [Field] {
        match self {
            Self::ListConferences => &[Field::MeetingCode, Field::SpaceName, Field::StartTime, Field::EndTime],
            Self::ListParticipants => &[Field::EarliestStartTime, Field::LatestEndTime],
            Self::ListSessions => &[Field::StartTime, Field::EndTime],
            _ => &[],
        }
    }

    /// Returns the default and the maximum page size.
    pub(super) const fn page_sizes(self) -> (usize, usize) {
        match self {
            Self::ListConferences => (25, 100),
            _ => (100, 250),
        }
    }

    /// Returns the scopes, one of which a token needs.
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
