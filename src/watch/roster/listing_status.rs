//! Pure: who was listed, who is missing, and whose sessions have to be read because of that.
//!
//! Being missing from a complete listing only causes the sessions to be read. A leave follows from Google's end. If Google
//! reports none, a leave is inferred after both a time and a number of listings, in a round in which the conference itself
//! could be read. A participant who is listed again withdraws the inference.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Roster;
use super::observation::RosterRules;
use super::participant_state::ParticipantState;
use crate::backoff;
use crate::clock::Mono;
use crate::model::IdentityName;

/// What the complete listings say of a participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListingStatus {
    /// In none, or missing because they left. A listing that shows the participant makes it `Listed`.
    Away,
    /// In the last one. Becomes `Missing` when the next one by the same identity does not show the participant.
    Listed { by: IdentityName },
    /// In an earlier one and not in the last, though a session is open. Ends when the session ends, by Google's end or an
    /// inferred one, or when a listing shows the participant again.
    Missing {
        by: IdentityName,
        since: Mono,
        /// The last listing that showed the participant, by Google's clock.
        last_listed: Timestamp,
        /// How many listings in a row did not show the participant.
        missed: u32,
        /// How often Google said that there is no such participant.
        not_found: u32,
    },
}

/// When the sessions of a participant have to be read in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recheck {
    pub due: Mono,
    pub tries: u32,
}

/// After so many reads without a change, a participant who is away is not read again until the closing.
const MAX_TRIES_WHEN_AWAY: u32 = 10;

impl Recheck {
    /// Returns a recheck that is due now.
    #[must_use]
    pub fn at_once(now: Mono) -> Self {
        Self { due: now, tries: 0 }
    }

    /// Returns the next recheck after one that changed nothing, with a longer delay, or `None` when it is time to give up.
    #[must_use]
    pub fn again(self, person: &ParticipantState, now: Mono, rules: &RosterRules) -> Option<Self> {
        if person.listing_status == ListingStatus::Away && self.tries >= MAX_TRIES_WHEN_AWAY {
            return None;
        }
        let (first, most) = rules.reread;
        let delay = backoff::doubled(first, self.tries, most);
        Some(Self { due: now + delay, tries: self.tries + 1 })
    }
}

impl Roster {
    /// Returns the roster with the absence counts of everybody started over.
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
    /// Returns the identity whose listing showed the participant last. Absence counts only under that one.
    #[must_use]
    pub fn seen_by(&self) -> Option<&IdentityName> {
        match &self.listing_status {
            ListingStatus::Listed { by } | ListingStatus::Missing { by, .. } => Some(by),
            ListingStatus::Away => None,
        }
    }

    /// Returns whether the known sessions contradict what else is known of the participant, so that they have to be read.
    #[must_use]
    pub fn is_inconsistent(&self) -> bool {
        let open = self.open_sessions().next().is_some();
        match self.listing_status {
            _ if self.sessions.is_empty() => true,
            ListingStatus::Listed { .. } if !open => true,
            ListingStatus::Missing { .. } if open || self.is_leave_held_back() => true,
            _ if self.has_unread_end() => true,
            _ => self.latest_end.is_some_and(|end| self.last_google_end().is_none_or(|known| known < end)),
        }
    }

    /// Returns whether a complete listing should show the participant.
    #[must_use]
    pub(super) fn is_expected(&self) -> bool {
        matches!(self.listing_status, ListingStatus::Listed { .. }) || self.is_present()
    }

    /// Notes a complete listing by `by` that does not show the participant.
    pub(super) fn note_missing(&mut self, by: &IdentityName, now: Mono, last_listed: Timestamp) {
        let there = self.is_present();
        match &mut self.listing_status {
            // Absence counts only under the identity that saw the participant.
            ListingStatus::Listed { by: other } | ListingStatus::Missing { by: other, .. } if other != by => {}
            ListingStatus::Missing { missed, .. } if there => *missed += 1,
            _ if there => {
                let last_listed = *self.last_seen.get_or_insert(last_listed);
                self.listing_status =
                    ListingStatus::Missing { by: by.clone(), since: now, last_listed, missed: 1, not_found: 0 };
            }
            listing_status => *listing_status = ListingStatus::Away,
        }
    }

    /// Starts the absence counts over, because the conference was unobserved for a while.
    pub(super) fn restart_absence(&mut self, now: Mono) {
        if let ListingStatus::Missing { since, missed, not_found, .. } = &mut self.listing_status {
            (*since, *missed, *not_found) = (now, 0, 0);
        }
    }

    /// Notes that Google showed the participant's sessions.
    pub(super) fn note_found(&mut self) {
        if let ListingStatus::Missing { not_found, .. } = &mut self.listing_status {
            *not_found = 0;
        }
    }

    /// Notes that Google said that there is no such participant.
    pub(super) fn note_not_found(&mut self) {
        if let ListingStatus::Missing { not_found, .. } = &mut self.listing_status {
            *not_found += 1;
        }
    }

    /// Returns the time of the leave if it has to be inferred by now.
    #[must_use]
    pub(super) fn inferred_leave(&self, now: Mono, rules: &RosterRules) -> Option<Timestamp> {
        match self.listing_status {
            ListingStatus::Missing { since, last_listed, missed, not_found, .. } => {
                let long_enough = now.saturating_sub(since) >= rules.leave_grace || not_found >= rules.leave_refusals;
                (long_enough && missed >= rules.leave_listings && self.is_present()).then_some(last_listed)
            }
            ListingStatus::Away | ListingStatus::Listed { .. } => None,
        }
    }

    /// Returns whether sessions were awaited for long enough, so that the participant resource alone is used.
    #[must_use]
    pub(super) fn resource_counts(&self, now: Mono, wait: Duration) -> bool {
        self.sessions.is_empty() && now.saturating_sub(self.first_seen) >= wait
    }
}
