//! The seam between reading Google and watching: what can be asked, and what comes back.

use std::future::Future;

use jiff::Timestamp;

use super::error::ReadError;
use super::filter::{ConferenceFilter, ParticipantFilter, SessionFilter};
use crate::model::{
    Conference, ConferenceName, IdentityName, MeetingCode, Participant, ParticipantName, Person, Session, Space,
    SpaceName, UserName,
};

/// Reads on behalf of an identity. The client implements it over HTTP; a test may implement it from memory.
pub trait Reader: Send + Sync + 'static {
    /// Does one read: every page of it, with retries, within the quota, or fails as a whole.
    ///
    /// # Errors
    /// [`ReadError`] with a named reason. A list of which any page failed is an error, never a shorter list.
    fn read(
        &self,
        identity: &IdentityName,
        priority: Priority,
        read: &Read,
    ) -> impl Future<Output = Result<Reading, ReadError>> + Send;
}

/// What a read is for: who gets the next of a scarce quota, first to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    Listing,
    /// Suspects and newcomers.
    Person,
    /// The conference record, and discovery.
    Record,
    Closing,
    Backfill,
    Sweep,
    /// Who somebody is.
    Lookup,
}

impl Priority {
    /// Every priority, first to last.
    pub const ALL: [Self; 7] =
        [Self::Listing, Self::Person, Self::Record, Self::Closing, Self::Backfill, Self::Sweep, Self::Lookup];
}

/// One question to Google.
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
    /// Who these users are, in batches of at most 200.
    People(Vec<UserName>),
}

/// What came back, whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    pub answer: Answer,
    /// Google's clock: the `Date` of the last response, where it had a readable one. Whole seconds.
    pub google_time: Option<Timestamp>,
    /// How many requests that were answered it took.
    pub pages: u32,
}

/// The answer to a [`Read`], of the variant that belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Conference(Conference),
    Conferences(Vec<Conference>),
    Participant(Participant),
    /// Each participant once; a duplicate over pages is merged into one.
    Participants(Vec<Participant>),
    Session(Session),
    Sessions(Vec<Session>),
    Space(Space),
    /// Those who were found. Who is missing here could not be looked up.
    People(Vec<Person>),
}
