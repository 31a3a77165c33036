//! Pure: the end of a conference, read in full: the complete list of everybody, then each person's sessions.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Mono;
use crate::meet::Reason;
use crate::model::ParticipantName;

/// What is read next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closing {
    /// Everybody who ever was there. Then [`Closing::Sessions`].
    Everybody,
    /// The sessions of those that are left, with how often that failed.
    Sessions(BTreeMap<ParticipantName, u32>),
}

/// A participant that Google does not show in so many attempts is taken as it is known.
const MAX_REFUSALS: u32 = 3;

/// What a closing wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClosingStep {
    Everybody,
    Sessions(ParticipantName),
    /// Everything was read.
    Complete,
}

impl Closing {
    /// What to read next.
    #[must_use]
    pub fn next(&self) -> ClosingStep {
        match self {
            Self::Everybody => ClosingStep::Everybody,
            Self::Sessions(left) => left.keys().next().cloned().map_or(ClosingStep::Complete, ClosingStep::Sessions),
        }
    }

    /// Everybody was listed: these are to be read.
    pub fn listed<'a>(&mut self, everybody: impl Iterator<Item = &'a ParticipantName>) {
        *self = Self::Sessions(everybody.map(|name| (name.clone(), 0)).collect());
    }

    /// Somebody's sessions were read.
    pub fn read(&mut self, participant: &ParticipantName) {
        if let Self::Sessions(left) = self {
            left.remove(participant);
        }
    }

    /// Somebody's sessions could not be read. What Google refuses to show is given up after a few attempts; trouble on
    /// the way to Google is waited out, however long it lasts.
    pub fn failed(&mut self, participant: &ParticipantName, reason: Reason) {
        let Self::Sessions(left) = self else { return };
        if !matches!(reason, Reason::NotFound | Reason::NoAccess | Reason::BadRequest) {
            return;
        }
        if let Some(refusals) = left.get_mut(participant) {
            *refusals += 1;
            if *refusals >= MAX_REFUSALS {
                left.remove(participant);
            }
        }
    }
}

/// How long after a failed closing read the next one is tried.
pub const RETRY: Duration = Duration::from_secs(10);

/// When the next closing read is due after a failure.
#[must_use]
pub fn retry_at(now: Mono, asked: Option<Duration>) -> Mono {
    now + RETRY.max(asked.unwrap_or_default())
}
