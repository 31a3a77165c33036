//! Pure: who was listed, who is missing, and whose sessions have to be read because of it.
//!
//! Missing from a complete listing makes a suspect, no more. A suspect's sessions are read; only Google's end makes a
//! leave. Where Google stays silent, a leave is concluded late, after time *and* listings, in a round in which the
//! conference itself could be read; and whoever turns up again takes the conclusion back.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Roster;
use super::observation::RosterRules;
use super::participant_state::ParticipantState;
use crate::clock::Mono;
use crate::model::IdentityName;

/// How a person stands to the complete listings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListingStatus {
    /// In none, or rightly missing. A listing that shows the person makes it `Listed`.
    Away,
    /// In the last one. Becomes `Missing` when the next one under the same identity does not show the person.
    Listed { by: IdentityName },
    /// In an earlier one, and not in the last, though a session is open. Ends with the session, by Google's word or
    /// by conclusion, or with a listing that shows the person again.
    Missing {
        by: IdentityName,
        since: Mono,
        /// The last listing that showed the person, by Google's clock.
        last_listed: Timestamp,
        /// How many listings in a row did not.
        without: u32,
        /// How often Google said that there is no such participant.
        gone: u32,
    },
}

/// Whose sessions have to be read in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recheck {
    pub due: Mono,
    pub tries: u32,
}

/// After so many readings that changed nothing, somebody who is away and does not fit is left to the conference's end.
const MAX_TRIES_WHEN_AWAY: u32 = 10;

impl Recheck {
    /// Read at once.
    #[must_use]
    pub fn at_once(now: Mono) -> Self {
        Self { due: now, tries: 0 }
    }

    /// Read again later, backing off; `None` when it is time to give up.
    #[must_use]
    pub fn again(self, person: &ParticipantState, now: Mono, rules: &RosterRules) -> Option<Self> {
        if person.listing_status == ListingStatus::Away && self.tries >= MAX_TRIES_WHEN_AWAY {
            return None;
        }
        let (first, most) = rules.reread;
        let delay = first.saturating_mul(1 << self.tries.min(16)).min(most);
        Some(Self { due: now + delay, tries: self.tries + 1 })
    }
}

impl Roster {
    /// The same, with the count of everybody's absence begun anew.
    #[must_use]
    pub fn with_absences_restarted(mut self, now: Mono) -> Self {
        let missing = |person: &Arc<ParticipantState>| matches!(person.listing_status, ListingStatus::Missing { .. });
        if self.participants.values().any(missing) {
            let people = Arc::make_mut(&mut self.participants).values_mut();
            people.filter(|person| missing(person)).for_each(|person| Arc::make_mut(person).restart_absence(now));
        }
        self
    }
}

impl ParticipantState {
    /// Under whom absence counts: the identity whose listing showed the person last.
    #[must_use]
    pub fn seen_by(&self) -> Option<&IdentityName> {
        match &self.listing_status {
            ListingStatus::Listed { by } | ListingStatus::Missing { by, .. } => Some(by),
            ListingStatus::Away => None,
        }
    }

    /// Whether what is known of the sessions does not go with what is known of the person.
    #[must_use]
    pub(super) fn is_inconsistent(&self) -> bool {
        let open = self.open_sessions().next().is_some();
        match self.listing_status {
            _ if self.sessions.is_empty() => true,
            ListingStatus::Listed { .. } if !open => true,
            ListingStatus::Missing { .. } if open => true,
            _ => self.latest_end.is_some_and(|end| self.last_google_end().is_none_or(|known| known < end)),
        }
    }

    /// Whether a complete listing ought to show this person.
    #[must_use]
    pub(super) fn is_expected(&self) -> bool {
        matches!(self.listing_status, ListingStatus::Listed { .. }) || self.is_present()
    }

    /// Takes note of a complete listing under `by` that does not show this person.
    pub(super) fn note_missing(&mut self, by: &IdentityName, now: Mono, last_listed: Timestamp) {
        let there = self.is_present();
        match &mut self.listing_status {
            // Absence counts only under the identity that saw the person.
            ListingStatus::Listed { by: other } | ListingStatus::Missing { by: other, .. } if other != by => {}
            ListingStatus::Missing { without, .. } if there => *without += 1,
            _ if there => {
                let last_listed = *self.last_seen.get_or_insert(last_listed);
                self.listing_status =
                    ListingStatus::Missing { by: by.clone(), since: now, last_listed, without: 1, gone: 0 };
            }
            listing_status => *listing_status = ListingStatus::Away,
        }
    }

    /// Begins the count of a suspect anew: for a time nobody looked.
    pub(super) fn restart_absence(&mut self, now: Mono) {
        if let ListingStatus::Missing { since, without, gone, .. } = &mut self.listing_status {
            (*since, *without, *gone) = (now, 0, 0);
        }
    }

    /// Google showed the participant's sessions, so it does know of it.
    pub(super) fn note_found(&mut self) {
        if let ListingStatus::Missing { gone, .. } = &mut self.listing_status {
            *gone = 0;
        }
    }

    /// Google says that there is no such participant.
    pub(super) fn note_not_found(&mut self) {
        if let ListingStatus::Missing { gone, .. } = &mut self.listing_status {
            *gone += 1;
        }
    }

    /// When this person is to be taken as having left though Google did not say so, if it has come to that.
    #[must_use]
    pub(super) fn inferred_leave(&self, now: Mono, rules: &RosterRules) -> Option<Timestamp> {
        match self.listing_status {
            ListingStatus::Missing { since, last_listed, without, gone, .. } => {
                let long_enough = now.saturating_sub(since) >= rules.leave_grace || gone >= rules.leave_refusals;
                (long_enough && without >= rules.leave_listings && self.is_present()).then_some(last_listed)
            }
            ListingStatus::Away | ListingStatus::Listed { .. } => None,
        }
    }

    /// Whether the participant resource alone may stand in for sessions that could not be read.
    #[must_use]
    pub(super) fn resource_counts(&self, now: Mono, wait: Duration) -> bool {
        self.sessions.is_empty() && now.saturating_sub(self.first_seen) >= wait
    }
}
