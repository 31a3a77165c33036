//! Pure: the roster, all that is known of one conference, and the events that follow from learning more.
//!
//! No clock, no IO, no randomness: [`Roster::observe`] takes what one complete read told and returns the roster after it
//! and the events it gives rise to. How that comes about, a file each:
//!
//! 1. [`observation`]: what can be observed.
//! 2. [`session`] and [`person`]: knowledge is merged; it only grows, so that the order of reads does not matter.
//! 3. [`presence`]: the union of a person's sessions.
//! 4. [`facts`]: what now holds, minus what was told, is what is to be told, corrected or taken back.
//! 5. [`observe`], [`sight`]: the pieces in order; who is missing, and when that becomes having left.
//! 6. [`tell`]: the events, ordered and numbered. [`attendance`]: the account at the end.
//! 7. [`restore`]: the way back from the stored rows.

pub mod attendance;
pub mod directory;
pub mod emit;
pub mod emitted_event;
pub mod facts;
pub mod listing_status;
pub mod observation;
pub mod observe;
pub mod participant_state;
pub mod presence;
#[cfg(test)]
mod properties;
pub mod restore;
pub mod session_state;
#[cfg(test)]
mod stored;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

pub use directory::Directory;
pub use emitted_event::EmittedEvent;
pub use listing_status::Recheck;
pub use observation::{Moment, Observation, RosterRules, Seen};
pub use observe::RosterUpdate;
pub use participant_state::ParticipantState;
pub use session_state::{Emission, SessionState};

use crate::clock::Mono;
use crate::model::{ConferenceName, IdentityName, MeetingCode, ParticipantKind, ParticipantName, Source, SpaceName};
use participant_state::WithdrawnEvent;

/// All that is known of one conference. Cloning is cheap: what does not change is shared.
#[derive(Debug, Clone)]
pub struct Roster {
    record: Arc<ConferenceState>,
    participants: Arc<BTreeMap<ParticipantName, Arc<ParticipantState>>>,
    /// Whose sessions have to be read in full, and when. Few at a time.
    rechecks: Arc<BTreeMap<ParticipantName, Recheck>>,
    /// How many events were told.
    sequence: u64,
    /// How many are present after the last of them.
    present: u32,
    /// How many a complete listing would show if nothing changed.
    expected: usize,
    listed: Option<LastListing>,
    /// The last times in which nobody looked, in order.
    unobserved: Vec<(Timestamp, Timestamp)>,
    /// Whether anything was told after the conference's end was.
    late: bool,
    /// How often Google said something that does not fit what it said before.
    disagreements: u64,
}

/// The conference itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConferenceState {
    pub name: ConferenceName,
    pub space: Option<SpaceName>,
    pub meeting_code: Option<MeetingCode>,
    pub start: Timestamp,
    pub end: Option<(Timestamp, Source)>,
    started: Option<Emission>,
    ended: Option<Emission>,
    /// What was told of the conference and taken back since.
    withdrawn: Vec<WithdrawnEvent>,
}

/// The last complete listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastListing {
    /// By our clock.
    pub at: Timestamp,
    /// `None` when it was another process that listed.
    pub mono: Option<Mono>,
    /// Without another one for so long, nobody looked, by the rules of that time.
    pub unobserved_after: Duration,
    pub by: Option<IdentityName>,
}

impl Roster {
    /// A conference of which nothing is known yet but its record.
    #[must_use]
    pub fn new(
        name: ConferenceName,
        space: Option<SpaceName>,
        meeting_code: Option<MeetingCode>,
        start: Timestamp,
    ) -> Self {
        let record = ConferenceState {
            name,
            space,
            meeting_code,
            start,
            end: None,
            started: None,
            ended: None,
            withdrawn: Vec::new(),
        };
        Self {
            record: Arc::new(record),
            participants: Arc::default(),
            rechecks: Arc::default(),
            sequence: 0,
            present: 0,
            expected: 0,
            listed: None,
            unobserved: Vec::new(),
            late: false,
            disagreements: 0,
        }
    }

    /// As it was found after a time in which nobody looked whether there is such a conference.
    #[must_use]
    pub fn found_after(self, unobserved: Option<(Timestamp, Timestamp)>) -> Self {
        Self { unobserved: unobserved.into_iter().collect(), ..self }
    }

    #[must_use]
    pub fn record(&self) -> &ConferenceState {
        &self.record
    }

    /// Everybody who was ever seen here, by name.
    #[must_use]
    pub fn participants(&self) -> &BTreeMap<ParticipantName, Arc<ParticipantState>> {
        &self.participants
    }

    /// Whose sessions have to be read in full, and when.
    #[must_use]
    pub fn rechecks(&self) -> &BTreeMap<ParticipantName, Recheck> {
        &self.rechecks
    }

    /// How many events were told.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// How many are present, by what was told.
    #[must_use]
    pub fn present(&self) -> u32 {
        self.present
    }

    /// How many a complete listing would show if nothing changed.
    #[must_use]
    pub fn expected(&self) -> usize {
        self.expected
    }

    /// The last complete listing.
    #[must_use]
    pub fn listed(&self) -> Option<&LastListing> {
        self.listed.as_ref()
    }

    /// Since when nobody is present, by what was told. `None`: somebody is.
    #[must_use]
    pub fn empty_since(&self) -> Option<Timestamp> {
        let left = |person: &Arc<ParticipantState>| {
            person.presences.last().map(|last| last.left.as_ref().map(|left| left.emission.time))
        };
        let mut since = self.record.start;
        for left in self.participants.values().filter_map(left) {
            since = since.max(left?);
        }
        Some(since)
    }

    /// How often Google said something that does not fit what it said before.
    #[must_use]
    pub fn disagreements(&self) -> u64 {
        self.disagreements
    }

    /// Whether its end was told.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.record.ended.is_some()
    }

    /// Whether another roster of the same conference knows and has told exactly the same. May say no where that is so.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.participants, &other.participants)
            && Arc::ptr_eq(&self.record, &other.record)
            && self.sequence == other.sequence
    }

    /// How many are present of each kind, in the order of [`ParticipantKind::ALL`], and how many sessions are open.
    #[must_use]
    pub fn counts(&self) -> ([u32; ParticipantKind::ALL.len()], u32) {
        let mut kinds = [0; ParticipantKind::ALL.len()];
        let mut sessions = 0;
        for person in self.participants.values() {
            let open = person.open_sessions().count();
            sessions += u32::try_from(open).unwrap_or(u32::MAX);
            if person.is_present()
                && let Some(at) = ParticipantKind::ALL.iter().position(|kind| *kind == person.kind)
            {
                kinds[at] += 1;
            }
        }
        (kinds, sessions)
    }

    /// Those who are present, after `cursor` in the order of their names.
    pub fn present_after(&self, cursor: Option<&ParticipantName>) -> impl Iterator<Item = &ParticipantName> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = cursor.map_or(Unbounded, Excluded);
        self.participants
            .range::<ParticipantName, _>((from, Unbounded))
            .filter(|(_, person)| person.is_present())
            .map(|(name, _)| name)
    }
}

impl LastListing {
    /// Whether this is the listing of that very moment: nobody lists twice at once.
    fn is_of(&self, moment: Moment, by: &IdentityName) -> bool {
        self.mono == Some(moment.now.mono) && self.by.as_ref() == Some(by)
    }
}
