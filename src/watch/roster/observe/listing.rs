//! Pure: a complete list of those who are present: who is on it, who is missing from it, and whether nobody had looked for a
//! while before.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Work;
use crate::clock::elapsed;
use crate::model::{IdentityName, Participant, ParticipantName};
use crate::watch::roster::observation::{Moment, Rules};
use crate::watch::roster::sight::Sight;
use crate::watch::roster::{Listed, Roster};

/// A time in which nobody looked, to be told.
#[derive(Debug, Clone, Copy)]
pub(in crate::watch::roster) struct Blindness {
    pub from: Timestamp,
    pub to: Timestamp,
    pub reason: &'static str,
}

impl Roster {
    pub(super) fn see_active(
        &mut self,
        participants: &[Participant],
        by: &IdentityName,
        moment: Moment,
        reason: &'static str,
        rules: &Rules,
        work: &mut Work,
    ) {
        let before = self.look(by, moment, reason, rules, work);
        let mut as_expected = 0;
        for read in participants {
            let known = self.people.get(&read.name);
            if known.is_some_and(|person| {
                // Who was missing when another process wrote this down is seen again only now.
                let was_there = matches!(&person.sight, Sight::Listed { by: other } if other == by);
                was_there && person.last_seen.is_none() && person.knows(read)
            }) {
                as_expected += 1;
            } else {
                self.see_listed(read, by, moment, work);
            }
        }
        let again = before.as_ref().is_some_and(|before| before.is_of(moment, by));
        if !again && (as_expected != self.expected || work.gap.is_some() || !work.touched.is_empty()) {
            let last_listed = before.map_or(self.record.start, |before| before.at);
            self.miss_the_others(participants, by, moment, last_listed, work);
        }
    }

    /// Notes that a complete list was read, and whether nobody looked for a while before. Returns the one before. Once the
    /// end was told there is nobody to be seen any more, so nothing was missed.
    pub(super) fn look(
        &mut self,
        by: &IdentityName,
        moment: Moment,
        reason: &'static str,
        rules: &Rules,
        work: &mut Work,
    ) -> Option<Listed> {
        let before = self.listed.replace(Listed {
            at: moment.google,
            mono: Some(moment.now.mono),
            blind_after: rules.blind_after,
            by: Some(by.clone()),
        });
        let watched = before.as_ref().filter(|_| !self.is_ended());
        work.gap = watched.and_then(|before| blindness(before, moment, reason, rules));
        let takes_over = before.as_ref().is_some_and(|before| before.by.as_ref() != Some(by));
        if work.gap.is_some() || takes_over {
            self.doubt_all_absence(moment, work);
        }
        before
    }

    /// Whether nobody has looked for so long that the next listing will tell a gap.
    #[must_use]
    pub fn is_blind(&self, moment: Moment, rules: &Rules) -> bool {
        self.listed.as_ref().is_some_and(|before| blindness(before, moment, "", rules).is_some())
    }

    /// Somebody is listed who was not, or not like this.
    fn see_listed(&mut self, read: &Participant, by: &IdentityName, moment: Moment, work: &mut Work) {
        let stranger = !self.people.contains_key(&read.name);
        self.admit(read, moment, work);
        self.change(&read.name, work, |person| {
            person.merge(read);
            // Listed again: what was concluded from silence does not hold for somebody without sessions.
            person.inferred_end = None;
            person.last_seen = None;
            person.sight = Sight::Listed { by: by.clone() };
        });
        if stranger || self.people.get(&read.name).is_some_and(|person| person.is_unsettled()) {
            self.call_attention(&read.name, moment);
        }
    }

    fn miss_the_others(
        &mut self,
        participants: &[Participant],
        by: &IdentityName,
        moment: Moment,
        last_listed: Timestamp,
        work: &mut Work,
    ) {
        let listed: BTreeSet<&ParticipantName> = participants.iter().map(|read| &read.name).collect();
        let others: Vec<_> = self
            .people
            .iter()
            .filter(|(name, person)| person.is_expected() && !listed.contains(name))
            .map(|(name, _)| name.clone())
            .collect();
        for name in others {
            let was_missing =
                self.people.get(&name).is_some_and(|person| matches!(person.sight, Sight::Missing { .. }));
            self.change(&name, work, |person| person.miss(by, moment.now.mono, last_listed));
            let is_missing = self.people.get(&name).is_some_and(|person| matches!(person.sight, Sight::Missing { .. }));
            if is_missing && !was_missing {
                self.call_attention(&name, moment);
            }
        }
    }

    /// Nobody looked for a while, or somebody else did: whoever is missing may have been back in between.
    fn doubt_all_absence(&mut self, moment: Moment, work: &mut Work) {
        let missing: Vec<_> = self
            .people
            .iter()
            .filter(|(_, person)| matches!(person.sight, Sight::Missing { .. }))
            .map(|(name, _)| name.clone())
            .collect();
        for name in missing {
            self.change(&name, work, |person| person.doubt_the_absence(moment.now.mono));
        }
    }
}

/// Whether nobody looked between two listings, and from when to when.
fn blindness(before: &Listed, moment: Moment, reason: &'static str, rules: &Rules) -> Option<Blindness> {
    // What another process wrote down may be older than its last listing: then the gap begins early, never late.
    let unseen =
        before.mono.map_or_else(|| elapsed(before.at, moment.google), |mono| moment.now.mono.saturating_sub(mono));
    // Whoever lists more often from now on has missed nothing by it.
    let blind = unseen >= rules.blind_after.max(before.blind_after);
    blind.then(|| Blindness { from: before.at, to: moment.google.max(before.at), reason })
}
