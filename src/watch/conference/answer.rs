//! Pure: what a reading brought, or why it brought nothing.

use std::time::Duration;

use super::{Act, Doing, LATE, Stage, Surroundings, Task, Watched};
use crate::backoff::Random;
use crate::clock::Mono;
use crate::meet::{Answer, ReadError, Reading, Reason};
use crate::watch::closing::{self, Closing};
use crate::watch::plan::Purpose;
use crate::watch::roster::{Moment, Observation, Seen};

/// A record that no identity can read for so long is given up, where it is Google that refuses it.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);
/// So long it has to have been refused without a word between: after a long outage one refusal is not enough.
const REFUSED_FOR: Duration = Duration::from_secs(6 * 3600);
/// Google keeps a record for so long, so whatever ails an identity is waited out until then.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// A conference that was found and is refused so often is let go of.
const MAX_OPENING_REFUSALS: u32 = 5;

/// Whether this identity does not see the conference, for whatever reason of its own: another one may.
fn is_lost(reason: Reason) -> bool {
    use Reason::{ApiDisabled, Credentials, Delegation, NoAccess, NotFound, ScopeMissing, Unauthenticated};
    matches!(reason, ApiDisabled | Credentials | Delegation | NoAccess | NotFound | ScopeMissing | Unauthenticated)
}

/// Whether a reading is about the conference as a whole.
fn is_whole(task: &Task) -> bool {
    matches!(task, Task::Record | Task::Everybody | Task::Live(Purpose::Listing | Purpose::Record))
}

/// Nothing where there was something before.
fn nothing_shown() -> ReadError {
    ReadError {
        reason: Reason::NoAccess,
        attempted: "read what is known to be there",
        detail: "the answer is empty".to_owned(),
        remedy: "see whether the identity still has access to this meeting",
        retry_after: None,
    }
}

impl Watched {
    /// Takes in what a reading brought.
    pub fn answered(
        &mut self,
        result: Result<Reading, ReadError>,
        around: &Surroundings<'_>,
        moment: Moment,
        random: &mut Random,
    ) -> Act {
        let Doing::Reading(task) = std::mem::replace(&mut self.doing, Doing::Nothing) else { return Act::GoOn };
        if std::mem::take(&mut self.stale) {
            // What one identity was shown is nothing to judge another's absences by.
            return Act::GoOn;
        }
        match result {
            Ok(reading) if self.shows_less(&task, &reading.answer) => {
                self.failed(&task, &nothing_shown(), around, moment, random);
                Act::GoOn
            }
            Ok(reading) => {
                if is_whole(&task) {
                    (self.readable, self.unreadable_before, self.refused) = (moment.now.mono, Duration::ZERO, None);
                }
                self.understood(task, reading.answer, around, moment, random)
            }
            Err(error) => {
                self.failed(&task, &error, around, moment, random);
                Act::GoOn
            }
        }
    }

    /// Whether an answer is empty although there must be something to read: so lost access looks at times. A conference
    /// begins with whoever comes first, so that nobody ever was in it is no answer either.
    fn shows_less(&self, task: &Task, answer: &Answer) -> bool {
        let Some(roster) = &self.roster else { return false };
        match (task, answer) {
            (Task::Everybody, Answer::Participants(all)) => all.is_empty(),
            (Task::Sessions(participant), Answer::Sessions(all)) => {
                let person = roster.people().get(participant);
                all.is_empty() && person.is_some_and(|person| !person.sessions().is_empty())
            }
            _ => false,
        }
    }

    fn understood(
        &mut self,
        task: Task,
        answer: Answer,
        around: &Surroundings<'_>,
        moment: Moment,
        random: &mut Random,
    ) -> Act {
        if let Stage::Opening { record, space_asked, code, .. } = &mut self.stage {
            match answer {
                Answer::Conference(read) => *record = Some(read),
                Answer::Space(space) => (*space_asked, *code) = (true, space.meeting_code),
                // The reader answers what it was asked.
                _ => {}
            }
            return Act::GoOn;
        }
        if matches!((&task, &answer), (Task::Live(Purpose::Listing), Answer::Participants(listed)) if listed.is_empty())
            && self.roster.as_ref().is_some_and(|roster| roster.expected() > 0)
        {
            // Everybody gone, or access lost: the record tells which. The listing counts once it was read.
            self.doubtful = true;
            self.plan.confirm_by_record(moment.now.mono);
            return Act::GoOn;
        }
        let reason = self.trouble;
        let seen = match (&task, answer) {
            (Task::Live(Purpose::Listing), Answer::Participants(participants)) => Seen::Active { participants, reason },
            (Task::Everybody, Answer::Participants(participants)) => Seen::Everybody { participants, reason },
            (_, Answer::Participants(participants)) => Seen::People(participants),
            (_, Answer::Conference(record)) => Seen::Record(record),
            (Task::Live(Purpose::Person(participant)) | Task::Sessions(participant), Answer::Sessions(sessions)) => {
                Seen::Sessions { participant: participant.clone(), sessions, all: true }
            }
            (Task::Live(Purpose::Sweep { participant, all }), Answer::Sessions(sessions)) => {
                Seen::Sessions { participant: participant.clone(), sessions, all: *all }
            }
            // The reader answers what it was asked.
            _ => return Act::GoOn,
        };
        self.observe(task, seen, around, moment, random)
    }

    pub(super) fn failed(
        &mut self,
        task: &Task,
        error: &ReadError,
        around: &Surroundings<'_>,
        moment: Moment,
        random: &mut Random,
    ) {
        let now = moment.now.mono;
        if matches!(task, Task::Live(Purpose::Listing) | Task::Everybody) {
            self.blame(error.reason.as_str());
        }
        if *task == Task::Live(Purpose::Record) && std::mem::take(&mut self.doubtful) {
            // The listing that showed nobody stays out of account.
            self.blame(error.reason.as_str());
            self.plan.failed(&Purpose::Listing, error.retry_after, now, random);
        }
        if is_whole(task) && is_lost(error.reason) {
            // Another identity may still see it.
            let next = usize::from(self.viewers.len() > 1);
            self.viewers.rotate_left(next);
            if self.is_beyond_hope(error.reason, now) && self.roster.is_some() {
                self.give_up(around, moment);
                return;
            }
        }
        if let Task::Live(Purpose::Person(participant)) = task {
            let gone = error.reason == Reason::NotFound;
            self.take_note(Seen::Unreadable { participant: participant.clone(), gone }, around, moment);
        }
        match &mut self.stage {
            Stage::Opening { space_asked, .. } if *task == Task::Space => *space_asked = true,
            // Discovery brings it back if it shows it again.
            Stage::Opening { failures, .. } if is_lost(error.reason) && *failures >= MAX_OPENING_REFUSALS => {
                self.stage = Stage::Closed;
            }
            Stage::Closing { closing, .. } => {
                if let Task::Sessions(participant) = task {
                    closing.failed(participant, error.reason);
                }
                self.put_off(task, error.retry_after, now, random);
            }
            _ => self.put_off(task, error.retry_after, now, random),
        }
    }

    /// What keeps anybody from listing, unless something else has kept them before.
    pub(super) fn blame(&mut self, reason: &'static str) {
        if self.trouble == LATE {
            self.trouble = reason;
        }
    }

    /// Whether it is to be given up, after one more reading of the whole was in vain.
    fn is_beyond_hope(&mut self, reason: Reason, now: Mono) -> bool {
        let unreadable = now.saturating_sub(self.readable) + self.unreadable_before;
        let refused = matches!(reason, Reason::NoAccess | Reason::NotFound)
            && now.saturating_sub(*self.refused.get_or_insert(now)) >= REFUSED_FOR;
        unreadable >= KEPT || (refused && unreadable >= GIVE_UP_AFTER)
    }

    /// Nobody can read the conference any more: it ends with what is known.
    fn give_up(&mut self, around: &Surroundings<'_>, moment: Moment) {
        self.take_note(Seen::Lost, around, moment);
        self.stage = Stage::Closing { closing: Closing::of_nobody(), not_before: moment.now.mono, last: true };
    }

    /// Takes in what tells nothing and so needs no commit.
    fn take_note(&mut self, seen: Seen, around: &Surroundings<'_>, moment: Moment) {
        let (Some(roster), Some(by)) = (&self.roster, self.viewers.first().cloned()) else { return };
        let outcome = roster.observe(&Observation { moment, by, seen }, around.lookup.directory(), &self.rules(around));
        if outcome.told.is_empty() {
            self.roster = Some(outcome.roster);
        }
    }

    /// The same again, later.
    pub(super) fn put_off(&mut self, task: &Task, asked: Option<Duration>, now: Mono, random: &mut Random) {
        if let Task::Live(purpose) = task {
            self.plan.failed(purpose, asked, now, random);
        }
        match &mut self.stage {
            Stage::Opening { not_before, failures, .. } => {
                *failures = failures.saturating_add(1);
                *not_before = now + self.backoff.delay(*failures, random).max(asked.unwrap_or_default());
            }
            Stage::Closing { not_before, .. } => *not_before = closing::retry_at(now, asked),
            Stage::Live | Stage::Resting { .. } | Stage::Closed => {}
        }
    }
}
