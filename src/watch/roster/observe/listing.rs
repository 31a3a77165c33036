//! Pure: takes in a complete listing: who is on it, who is missing from it, and whether there was a gap before it.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Effects;
use crate::clock::elapsed;
use crate::model::{IdentityName, Participant, ParticipantName};
use crate::watch::gap;
use crate::watch::roster::listing_status::ListingStatus;
use crate::watch::roster::observation::{Moment, RosterRules};
use crate::watch::roster::{LastListing, Roster};

/// A span in which the conference was not observed, to be emitted as a gap.
#[derive(Debug, Clone, Copy)]
pub(in crate::watch::roster) struct UnobservedSpan {
    pub from: Timestamp,
    pub to: Timestamp,
    pub reason: &'static str,
}

/// Everybody who is in the call.
pub(super) struct ActiveListing<'a> {
    pub(super) active: Vec<&'a Participant>,
    pub(super) by: &'a IdentityName,
    /// Whether everything could be read, so that whoever is not shown is missing.
    pub(super) complete: bool,
    /// The listing before.
    pub(super) before: Option<LastListing>,
}

impl Roster {
    /// Takes in who is listed, and who is missing from a listing of which everything could be read.
    pub(super) fn observe_listing(&mut self, listing: ActiveListing<'_>, moment: Moment, effects: &mut Effects) {
        let ActiveListing { active, by, complete, before } = listing;
        let again = before.as_ref().is_some_and(|before| before.is_of(moment, by));
        let as_expected = self.observe_active(&active, by, moment, effects);
        if complete && !again {
            self.observe_absent(&active, as_expected, by, moment, before, effects);
        }
    }

    /// Takes in those who are listed. Returns how many of them changed nothing.
    fn observe_active(
        &mut self,
        participants: &[&Participant],
        by: &IdentityName,
        moment: Moment,
        effects: &mut Effects,
    ) -> usize {
        let mut as_expected = 0;
        for read in participants {
            let known = self.participants.get(&read.name);
            if known.is_some_and(|person| {
                // After a restart `last_seen` of somebody who was missing is still set, so being listed is a change.
                let was_there = matches!(&person.listing_status, ListingStatus::Listed { by: other } if other == by);
                was_there && person.last_seen.is_none() && person.knows(read)
            }) {
                as_expected += 1;
            } else {
                self.observe_listed(read, by, moment, effects);
            }
        }
        as_expected
    }

    fn observe_absent(
        &mut self,
        participants: &[&Participant],
        as_expected: usize,
        by: &IdentityName,
        moment: Moment,
        before: Option<LastListing>,
        effects: &mut Effects,
    ) {
        if as_expected != self.expected || effects.gap.is_some() || !effects.touched.is_empty() {
            let last_listed = before.map_or(self.record.start, |before| before.at);
            self.note_missing_others(participants, by, moment, last_listed, effects);
        }
    }

    /// Notes a complete listing, and the gap before it, if there was one. Returns the listing before. After the end was
    /// emitted nothing can be missed, so there is no gap.
    pub(super) fn note_listing(
        &mut self,
        by: &IdentityName,
        moment: Moment,
        reason: &'static str,
        rules: &RosterRules,
        effects: &mut Effects,
    ) -> Option<LastListing> {
        let before = self.listed.replace(LastListing {
            at: moment.google,
            mono: Some(moment.now.mono),
            unobserved_after: rules.unobserved_after,
            by: Some(by.clone()),
        });
        let watched = before.as_ref().filter(|_| !self.is_ended());
        effects.gap = watched.and_then(|before| unobserved_span(before, moment, reason, rules));
        let takes_over = before.as_ref().is_some_and(|before| before.by.as_ref() != Some(by));
        if effects.gap.is_some() || takes_over {
            self.restart_all_absences(moment, effects);
        }
        before
    }

    /// Returns whether the next listing will emit a gap.
    #[must_use]
    pub fn is_unobserved(&self, moment: Moment, rules: &RosterRules) -> bool {
        self.listed.as_ref().is_some_and(|before| unobserved_span(before, moment, "", rules).is_some())
    }

    /// Takes in a participant who was not listed before, or has changed.
    fn observe_listed(&mut self, read: &Participant, by: &IdentityName, moment: Moment, effects: &mut Effects) {
        let stranger = !self.participants.contains_key(&read.name);
        self.admit(read, moment, effects);
        self.change(&read.name, effects, |person| {
            person.merge(read);
            if person.earliest_start.is_none() {
                person.first_sight.get_or_insert(moment.google);
            }
            // They are listed again, so an end that was inferred for want of sessions does not hold.
            person.inferred_end = None;
            person.last_seen = None;
            person.listing_status = ListingStatus::Listed { by: by.clone() };
        });
        if stranger || self.participants.get(&read.name).is_some_and(|person| person.is_inconsistent()) {
            self.schedule_recheck(&read.name, moment);
        }
    }

    fn note_missing_others(
        &mut self,
        participants: &[&Participant],
        by: &IdentityName,
        moment: Moment,
        last_listed: Timestamp,
        effects: &mut Effects,
    ) {
        let listed: BTreeSet<&ParticipantName> = participants.iter().map(|read| &read.name).collect();
        let others: Vec<_> = self
            .participants
            .iter()
            .filter(|(name, person)| person.is_expected() && !listed.contains(name))
            .map(|(name, _)| name.clone())
            .collect();
        for name in others {
            let was_missing = self
                .participants
                .get(&name)
                .is_some_and(|person| matches!(person.listing_status, ListingStatus::Missing { .. }));
            self.change(&name, effects, |person| person.note_missing(by, moment.now.mono, last_listed));
            let is_missing = self
                .participants
                .get(&name)
                .is_some_and(|person| matches!(person.listing_status, ListingStatus::Missing { .. }));
            if is_missing && !was_missing {
                self.schedule_recheck(&name, moment);
            }
        }
    }

    /// Starts the absence counts over. There was a gap, or another identity listed before, so everybody who is missing may
    /// have been back in between.
    fn restart_all_absences(&mut self, moment: Moment, effects: &mut Effects) {
        let missing: Vec<_> = self
            .participants
            .iter()
            .filter(|(_, person)| matches!(person.listing_status, ListingStatus::Missing { .. }))
            .map(|(name, _)| name.clone())
            .collect();
        for name in missing {
            self.change(&name, effects, |person| person.restart_absence(moment.now.mono));
        }
    }
}

/// Returns the span between two listings if it is long enough to be a gap.
fn unobserved_span(
    before: &LastListing,
    moment: Moment,
    reason: &'static str,
    rules: &RosterRules,
) -> Option<UnobservedSpan> {
    // The stored time may be older than the last listing. So the gap may begin early, never late.
    let unseen =
        before.mono.map_or_else(|| elapsed(before.at, moment.google), |mono| moment.now.mono.saturating_sub(mono));
    // If the interval was shortened since, the longer one of then applies.
    let unobserved = unseen >= rules.unobserved_after.max(before.unobserved_after);
    unobserved.then(|| {
        let from = before.mono.map_or(before.at, |_| gap::began(before.at, moment.google, unseen));
        UnobservedSpan { from, to: moment.google.max(from), reason }
    })
}
