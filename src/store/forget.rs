//! Forgetting a person: who is meant, what is stored of them, and the steps of erasing it.

use crate::model::{ParticipantName, UserName};

/// The person to forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    User(UserName),
    /// Every account that was looked up and has this address.
    Email(String),
    /// The account of this participant; without an account, this participant alone.
    Participant(ParticipantName),
}

impl Subject {
    /// Parses what an operator typed: `users/…`, a participant's name, or an address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(user) = UserName::parse(text) {
            return Some(Self::User(user));
        }
        if let Ok(participant) = ParticipantName::parse(text) {
            return Some(Self::Participant(participant));
        }
        (text.contains('@') && !text.contains('/')).then(|| Self::Email(text.to_owned()))
    }
}

/// How much is stored of a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traces {
    pub conferences: u64,
    /// How many of these conferences are not closed yet.
    pub unfinished: u64,
    /// Events about the person, not counting attendance lists.
    pub events: u64,
}

/// A participant's row, and the number of its conference in the store.
pub type ParticipantKey = (i64, ParticipantName);

/// One step of forgetting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForgetRequest {
    /// Adds these names to the list of forgotten people: later commits are redacted.
    Remember(Vec<String>),
    /// Erases these participants from what is stored already.
    Erase(Vec<ParticipantKey>),
}
