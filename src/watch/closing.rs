//! Pure: the closing read of a conference that is over: the complete list of participants, then the sessions of each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::clock::Mono;
use crate::meet::Reason;
use crate::model::ParticipantName;

/// What is still to be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closing {
    /// Whether the list of participants is still to be read.
    unlisted: bool,
    /// The participants whose sessions are still to be read, with how often Google refused them.
    unread: BTreeMap<ParticipantName, u32>,
    done: BTreeSet<ParticipantName>,
    /// How often the list of participants could be read only in part, or not at all while the record could be.
    unreadable_lists: u32,
    /// Whether the record is to be read, to see that Google's answers are readable at all.
    confirms: bool,
    /// How many answers in a row were not what the API documents.
    malformed: u32,
}

/// After so many refusals a participant's sessions are taken as they are known.
const MAX_REFUSALS: u32 = 6;

/// After so many malformed answers in a row they count as refusals. Fewer may be of a proxy on the way.
const MALFORMED_IN_A_ROW: u32 = 3;

/// What a closing reads next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClosingStep {
    Record,
    Everybody,
    Sessions(ParticipantName),
    /// Everything was read.
    Complete,
}

impl Closing {
    /// Creates a closing that reads everything.
    #[must_use]
    pub fn complete() -> Self {
        Self { unlisted: true, ..Self::default() }
    }

    /// Creates a closing that reads nothing, for a conference that no identity can read any more.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Returns what to read next.
    #[must_use]
    pub fn next(&self) -> ClosingStep {
        match self.unread.keys().next() {
            _ if self.confirms => ClosingStep::Record,
            _ if self.unlisted => ClosingStep::Everybody,
            Some(name) => ClosingStep::Sessions(name.clone()),
            None => ClosingStep::Complete,
        }
    }

    /// Notes the complete list of participants. Those whose sessions were not read yet are queued. The list also shows that
    /// the conference is readable, so a participant that was refused often enough is given up.
    pub fn listed<'a>(&mut self, everybody: impl Iterator<Item = &'a ParticipantName>) {
        self.unlisted = false;
        for name in everybody.filter(|name| !self.done.contains(*name)) {
            self.unread.entry(name.clone()).or_default();
        }
        self.unread.retain(|_, refusals| *refusals < MAX_REFUSALS);
    }

    /// Notes that the participants, or one's sessions, could be read only in part. Returns whether they are read again:
    /// what stays unreadable is given up after a few attempts.
    pub fn read_in_part(&mut self, participant: Option<&ParticipantName>) -> bool {
        let times = match participant {
            Some(participant) => self.unread.entry(participant.clone()).or_default(),
            None => &mut self.unreadable_lists,
        };
        *times += 1;
        *times < MAX_REFUSALS
    }

    /// Notes that the record was read, so that a list that cannot be read is a matter of the list. It is given up after a
    /// few attempts, and the conference ends with what is known.
    pub fn record_read<'a>(&mut self, known: impl Iterator<Item = &'a ParticipantName>) {
        if std::mem::take(&mut self.confirms) && !self.read_in_part(None) {
            self.listed(known);
        }
    }

    /// Notes that the list of participants could not be read.
    pub fn list_failed(&mut self, reason: Reason) {
        self.confirms = self.note_malformed(reason);
    }

    /// Notes a failure. Returns whether the answer is malformed again and again, so that waiting alone may not help.
    fn note_malformed(&mut self, reason: Reason) -> bool {
        self.malformed = if reason == Reason::Malformed { self.malformed.saturating_add(1) } else { 0 };
        self.malformed > MALFORMED_IN_A_ROW
    }

    /// Notes that a participant's sessions were read.
    pub fn read(&mut self, participant: &ParticipantName) {
        self.malformed = 0;
        self.unread.remove(participant);
        self.done.insert(participant.clone());
    }

    /// Notes that a participant's sessions could not be read. What Google refuses while it shows the conference is given up
    /// after a few attempts. Lost access and failures on the way to Google are retried without a limit.
    pub fn failed(&mut self, participant: &ParticipantName, reason: Reason) {
        let refused = matches!(reason, Reason::NotFound | Reason::NoAccess | Reason::BadRequest);
        if !self.note_malformed(reason) && !refused {
            return;
        }
        if let Some(refusals) = self.unread.get_mut(participant) {
            *refusals += 1;
            if *refusals >= MAX_REFUSALS {
                self.done.insert(participant.clone());
            }
            self.unlisted = true;
        }
    }
}

/// The shortest time between a failed closing read and the next attempt.
pub const RETRY: Duration = Duration::from_secs(10);

/// Returns when to try again after a failure. `asked` is how long Google wants us to wait.
#[must_use]
pub fn retry_at(now: Mono, asked: Option<Duration>) -> Mono {
    now + RETRY.max(asked.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(id: &str) -> ParticipantName {
        ParticipantName::parse(&format!("conferenceRecords/c/participants/{id}")).unwrap()
    }

    #[test]
    fn a_refusal_counts_only_while_the_conference_itself_is_shown() {
        let (ada, bo) = (person("ada"), person("bo"));
        let mut closing = Closing::complete();
        closing.listed([&ada, &bo].into_iter());
        for _ in 0..MAX_REFUSALS {
            assert_eq!(closing.next(), ClosingStep::Sessions(ada.clone()));
            closing.failed(&ada, Reason::NoAccess);
            assert_eq!(closing.next(), ClosingStep::Everybody, "first see whether anything is shown at all");
            closing.listed([&ada, &bo].into_iter());
        }
        assert_eq!(closing.next(), ClosingStep::Sessions(bo.clone()));
        closing.read(&bo);
        assert_eq!(closing.next(), ClosingStep::Complete);
    }

    #[test]
    fn failures_on_the_way_to_google_are_retried_without_a_limit() {
        let ada = person("ada");
        let mut closing = Closing::complete();
        closing.listed([&ada].into_iter());
        for _ in 0..100 {
            closing.failed(&ada, Reason::Network);
            assert_eq!(closing.next(), ClosingStep::Sessions(ada.clone()));
        }
    }

    #[test]
    fn a_participant_who_appears_during_the_closing_is_read_too_and_none_twice() {
        let (ada, bo) = (person("ada"), person("bo"));
        let mut closing = Closing::complete();
        closing.listed([&ada].into_iter());
        closing.read(&ada);
        closing.failed(&bo, Reason::NotFound);
        closing.listed([&ada, &bo].into_iter());
        assert_eq!(closing.next(), ClosingStep::Sessions(bo));
    }
}
