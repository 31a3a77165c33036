//! Pure: the roster, everything that is known of one conference, and the events that follow from learning more.
//!
//! [`Roster::observe`] takes what one complete read showed and returns the next roster and the events. It has no clock, no
//! IO and no randomness. The same observation a second time changes nothing.
//!
//! The algorithm, in terms of what Google shows:
//!
//! - **Listing.** The list of participants in the call is read every few seconds. A new name on it is a participant whose
//!   sessions have to be read. The join is emitted with the start of the first session. If no session can be read for 15 s,
//!   or at once when quota is short, the start in the participant resource is used. That is the same event with the same id.
//! - **Absence.** A participant who is missing from a complete listing has not left yet. Their sessions are read
//!   ([`Recheck`]), and only an end that Google reports makes a leave: of the last session, or of the participant, which Google
//!   shows only once no session is open. A listing that failed, or of which a page failed,
//!   says nothing about absence. Neither does a listing by another identity than the one that saw the participant, because
//!   it may be shown less.
//! - **Confirmation.** An empty listing counts only after the record was read, because lost access may look the same.
//! - **Leave grace.** If Google reports no end, a leave is inferred. For that, `leave_grace` has to pass and three complete
//!   listings have to miss the participant, and the record has to show in the same round that the conference goes on.
//!   Instead of the grace, Google may say three times that there is no such participant. The time of an inferred leave is
//!   the last listing that showed the participant.
//! - **Presence.** A participant may have several sessions, one for each device and each rejoin. Their union are the
//!   presences: sessions that overlap or touch are one. Joins and leaves are the edges of presences. A second device adds
//!   no join.
//! - **Correction.** What Google shows later may change a time: an earlier session that overlaps, or an end for a leave
//!   that was inferred. Then the event is emitted again with the new time, and `corrects` the one before.
//! - **Retraction.** What no longer holds and has no replacement is withdrawn by an `event.retracted`: the leave and the
//!   join between two presences that turned out to be one, or an inferred leave of somebody who is listed again.
//! - **List of everybody.** While the conference goes on, it is a listing of those without an end, and shows the ends of all
//!   others.
//! - **Closing.** After the conference's end everything is read once more. What Google left open ends with the conference,
//!   and the end is emitted last, with the attendance. If later reads change anything, the end is emitted again as a
//!   correction.
//! - **Gap.** If no complete listing came for three intervals, and at least a minute, the conference was unobserved. The
//!   next listing emits a `watch.gap`, and absence counts start over. What happened in a gap is `backfilled`, not
//!   `observed`.
//!
//! In the files:
//!
//! 1. [`observation`]: what can be observed.
//! 2. [`session_state`] and [`participant_state`]: what was read is merged. Knowledge only grows, so that the order of
//!    reads does not matter.
//! 3. [`presence`]: the union of a participant's sessions.
//! 4. [`facts`]: the difference between what holds and what was emitted.
//! 5. [`observe`] and [`listing_status`]: the steps of an observation; who is missing, and when a leave is inferred.
//! 6. [`emit`]: events, ordered and numbered. [`attendance`]: the account at the end.
//! 7. [`restore`]: the roster from stored rows.

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
use listing_status::ListingStatus;
use participant_state::WithdrawnEvent;

/// Everything that is known of one conference. Cloning is cheap: unchanged parts are shared.
#[derive(Debug, Clone)]
pub struct Roster {
    record: Arc<ConferenceState>,
    participants: Arc<BTreeMap<ParticipantName, Arc<ParticipantState>>>,
    /// The participants whose sessions have to be read in full, and when. They are few at a time.
    rechecks: Arc<BTreeMap<ParticipantName, Recheck>>,
    /// How many events were emitted.
    sequence: u64,
    /// How many people are present after the last event.
    present: u32,
    /// How many people a complete listing would show if nothing changed.
    expected: usize,
    listed: Option<LastListing>,
    /// The last spans in which the conference was not observed, in order.
    unobserved: Vec<(Timestamp, Timestamp)>,
    /// Whether anything was emitted after the conference's end, so that the end has to be emitted again.
    end_outdated: bool,
    /// How often Google contradicted what it showed before.
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
    /// The events of the conference that were emitted and withdrawn.
    withdrawn: Vec<WithdrawnEvent>,
}

/// The last complete listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastListing {
    /// When it was made, by Google's clock.
    pub at: Timestamp,
    /// `None` if another process made it.
    pub mono: Option<Mono>,
    /// How long after it the conference counts as unobserved, by the rules of that time.
    pub unobserved_after: Duration,
    pub by: Option<IdentityName>,
}

impl Roster {
    /// Creates the roster of a conference of which only the record is known.
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
            end_outdated: false,
            disagreements: 0,
        }
    }

    /// Notes the span before the conference was found in which nobody looked for it.
    #[must_use]
    pub fn found_after(self, unobserved: Option<(Timestamp, Timestamp)>) -> Self {
        Self { unobserved: unobserved.into_iter().collect(), ..self }
    }

    #[must_use]
    pub fn record(&self) -> &ConferenceState {
        &self.record
    }

    /// Returns everybody who was ever seen in the conference, by name.
    #[must_use]
    pub fn participants(&self) -> &BTreeMap<ParticipantName, Arc<ParticipantState>> {
        &self.participants
    }

    /// Returns the participants whose sessions have to be read in full, and when.
    #[must_use]
    pub fn rechecks(&self) -> &BTreeMap<ParticipantName, Recheck> {
        &self.rechecks
    }

    /// Returns how many events were emitted.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Returns how many people are present, by the events.
    #[must_use]
    pub fn present(&self) -> u32 {
        self.present
    }

    /// Returns how many people a complete listing would show if nothing changed.
    #[must_use]
    pub fn expected(&self) -> usize {
        self.expected
    }

    /// Returns the last complete listing.
    #[must_use]
    pub fn listed(&self) -> Option<&LastListing> {
        self.listed.as_ref()
    }

    /// Returns since when nobody is present, by the events, or `None` if somebody is.
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

    /// Returns how often Google contradicted what it showed before.
    #[must_use]
    pub fn disagreements(&self) -> u64 {
        self.disagreements
    }

    /// Returns whether the conference's end was emitted.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.record.ended.is_some()
    }

    /// Returns whether another roster of the same conference knows and has emitted the same. May return `false` even if so.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.participants, &other.participants)
            && Arc::ptr_eq(&self.record, &other.record)
            && self.sequence == other.sequence
    }

    /// Returns how many people of each kind are present, in the order of [`ParticipantKind::ALL`], and how many sessions
    /// are open.
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

    /// Returns whether somebody is missing from the listings whose leave Google does not show.
    #[must_use]
    pub fn has_missing(&self) -> bool {
        // Whoever is missing is rechecked.
        let is_missing = |name: &ParticipantName| {
            let person = self.participants.get(name);
            person.is_some_and(|person| matches!(person.listing_status, ListingStatus::Missing { .. }))
        };
        self.rechecks.keys().any(is_missing)
    }

    /// Returns the participants who are present, in the order of their names, after `cursor`.
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
    /// Returns whether this is the listing of that moment. One identity does not list twice at the same instant.
    fn is_of(&self, moment: Moment, by: &IdentityName) -> bool {
        self.mono == Some(moment.now.mono) && self.by.as_ref() == Some(by)
    }
}
