//! Pure: a complete list of those who are present: who is on it, who is missing from it, and whether nobody had looked for a
//! while before.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Effects;
use crate::clock::elapsed;
use crate::model::{IdentityName, Participant, ParticipantName};
use crate::watch::roster::listing_status::ListingStatus;
use crate::watch::roster::observation::{Moment, RosterRules};
use crate::watch::roster::{LastListing, Roster};

/// A time in which nobody looked, to be told.
#[derive(Debug, Clone, Copy)]
pub(in crate::watch::roster) struct UnobservedSpan {
    pub from: Timestamp,
    pub to: Timestamp,
    pub reason: &'static str,
}

impl Roster {
    pub(super) fn observe_active(
        &mut self,
        participants: &[Participant],
        by: &IdentityName,
        moment: Moment,
        reason: &'static str,
        rules: &RosterRules,
        effects: &mut Effects,
    ) {
        let before = self.look(by, moment, reason, rules, effects);
        let mut as_expected = 0;
        for read in participants {
            let known = self.participants.get(&read.name);
            if known.is_some_and(|person| {
                // Who was missing when another process wrote this down is seen again only now.
                let was_there = matches!(&person.listing_status, ListingStatus::Listed { by: other } if other == by);
                was_there && person.last_seen.is_none() && person.knows(read)
            }) {
                as_expected += 1;
            } else {
                self.observe_listed(read, by, moment, effects);
            }
        }
        let again = before.as_ref().is_some_and(|before| before.is_of(moment, by));
        if !again && (as_expected != self.expected || effects.gap.is_some() || !effects.touched.is_empty()) {
            let last_listed = before.map_or(self.record.start, |before| before.at);
            self.note_missing_others(participants, by, moment, last_listed, effects);
        }
    }

    /// Notes that a complete list was read, and whether nobody looked for a while before. Returns the one before. Once the
    /// end was told there is nobody to be seen any more, so nothing was missed.
    pub(super) fn look(
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

    /// Whether nobody has looked for so long that the next listing will tell a gap.
    #[must_use]
    pub fn is_unobserved(&self, moment: Moment, rules: &RosterRules) -> bool {
        self.listed.as_ref().is_some_and(|before| unobserved_span(before, moment, "", rules).is_some())
    }

    /// Somebody is listed who was not, or not like this.
    fn observe_listed(&mut self, read: &Participant, by: &IdentityName, moment: Moment, effects: &mut Effects) {
        let stranger = !self.participants.contains_key(&read.name);
        self.admit(read, moment, effects);
        self.change(&read.name, effects, |person| {
            person.merge(read);
            // Listed again: what was concluded from silence does not hold for somebody without sessions.
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
        participants: &[Participant],
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

    /// Nobody looked for a while, or somebody else did: whoever is missing may have been back in between.
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

/// Whether nobody looked between two listings, and from when to when.
fn unobserved_span(
    before: &LastListing,
    moment: Moment,
    reason: &'static str,
    rules: &RosterRules,
) -> Option<UnobservedSpan> {
    // What another process wrote down may be older than its last listing: then the gap begins early, never late.
    let unseen =
        before.mono.map_or_else(|| elapsed(before.at, moment.google), |mono| moment.now.mono.saturating_sub(mono));
    // Whoever lists more often from now on has missed nothing by it.
    let unobserved = unseen >= rules.unobserved_after.max(before.unobserved_after);
    unobserved.then(|| UnobservedSpan { from: before.at, to: moment.google.max(before.at), reason })
}
