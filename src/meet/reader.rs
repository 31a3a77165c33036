//! The interface between `meet` and `watch`: the reads there are, and their results.

use std::future::Future;

use jiff::Timestamp;

use super::error::ReadError;
use super::filter::{ConferenceFilter, ParticipantFilter, SessionFilter};
use super::quota_scope::QuotaScope;
use super::unreadable::UnreadableFields;
use crate::model::{
    Conference, ConferenceName, IdentityName, MeetingCode, Participant, ParticipantName, Person, Session, Space,
    SpaceName, UserName,
};

/// Reads Google on behalf of an identity. [`super::Client`] implements it over HTTP; a test may implement it in memory.
pub trait Reader: Send + Sync + 'static {
    /// Does one read within the quota, with retries and all pages. It succeeds or fails as a whole.
    ///
    /// # Errors
    /// [`ReadError`] with a named reason. If any page of a list fails, the result is an error and never a shorter list.
    fn read(
        &self,
        identity: &IdentityName,
        priority: Priority,
        read: &Read,
    ) -> impl Future<Output = Result<Reading, ReadError>> + Send;
}

/// What a read is for. When the quota is short, reads are served in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// The participants of a conference.
    Listing,
    /// One participant: who is missing from a listing, or is new in it.
    Person,
    /// The conference record, and discovery of conferences.
    Record,
    /// The last reads of a conference that has ended.
    Closing,
    /// What happened while the daemon did not run or could not read.
    Backfill,
    /// The periodic read of open sessions.
    Sweep,
    /// Names and addresses from the People API.
    Lookup,
}

impl Priority {
    /// Every priority, the most urgent first.
    pub const ALL: [Self; 7] =
        [Self::Listing, Self::Person, Self::Record, Self::Closing, Self::Backfill, Self::Sweep, Self::Lookup];
}

/// One read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    Conference(ConferenceName),
    Conferences(ConferenceFilter),
    Participant(ParticipantName),
    Participants(ConferenceName, ParticipantFilter),
    Session(crate::model::SessionName),
    Sessions(ParticipantName, SessionFilter),
    Space(SpaceName),
    SpaceByCode(MeetingCode),
    /// The names and addresses of these users, in batches of at most 200.
    People(Vec<UserName>),
}

/// The result of a read, complete but for what it says could not be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    pub answer: Answer,
    /// Google's clock, from the `Date` header of the last response, in whole seconds. `None` if it cannot be read.
    pub google_time: Option<Timestamp>,
    /// How many requests were sent, retries included.
    pub requests: u32,
    /// Whose quota Google said was used up, if it refused a request that succeeded when it was sent again.
    pub used_up: Option<QuotaScope>,
    /// What of the answer could not be read. It hides nothing but what it says.
    pub unreadable: UnreadableFields,
    /// Whether a list came as an empty body. That may be an empty list, or nothing that Google sent.
    pub blank: bool,
}

impl Reading {
    /// Creates a reading of which everything could be read.
    #[must_use]
    pub fn whole(answer: Answer, google_time: Option<Timestamp>, requests: u32) -> Self {
        Self { answer, google_time, requests, used_up: None, unreadable: UnreadableFields::default(), blank: false }
    }
}

/// The answer to a [`Read`]: the variant belongs to the read's variant.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Conference(Conference),
    Conferences(Vec<Conference>),
    Participant(Participant),
    /// Each participant once; duplicates on several pages are merged.
    Participants(Vec<Participant>),
    Session(Session),
    Sessions(Vec<Session>),
    Space(Space),
    /// The people who were found. Users that could not be looked up are missing.
    People(Vec<Person>),
}
