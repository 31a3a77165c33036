//! Pure: takes in the result of a read: what was read, or why it failed.

use std::time::Duration;

use super::{ConferenceContext, ConferenceTask, InFlight, NextStep, Stage, WatchedConference};
use crate::backoff::Random;
use crate::clock::Mono;
use crate::meet::{Answer, ReadError, Reading, Reason};
use crate::watch::closing::{self, Closing};
use crate::watch::gap::LATE;
use crate::watch::plan::Purpose;
use crate::watch::roster::{Moment, Observation, Seen};

/// A conference that Google refuses is given up after it was unreadable for this long.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);
/// For this long Google must have refused it without a success between. After a long outage one refusal is not enough.
const REFUSED_FOR: Duration = Duration::from_secs(6 * 3600);
/// Google keeps a record for this long, so an identity's own trouble is waited out until then.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// A conference that was found and is refused this often is forgotten.
const MAX_OPENING_REFUSALS: u32 = 5;

/// Returns whether this identity cannot read the conference. Another one may.
fn is_lost(reason: Reason) -> bool {
    use Reason::{ApiDisabled, Credentials, Delegation, NoAccess, NotFound, ScopeMissing, Unauthenticated};
    matches!(reason, ApiDisabled | Credentials | Delegation | NoAccess | NotFound | ScopeMissing | Unauthenticated)
}

/// Returns whether a read concerns the conference as a whole.
fn is_whole(task: &ConferenceTask) -> bool {
    matches!(
        task,
        ConferenceTask::Record
            | ConferenceTask::Everybody
            | ConferenceTask::Live(Purpose::Listing { .. } | Purpose::Record)
    )
}

/// The error for an empty answer where there must be something.
fn nothing_shown() -> ReadError {
    ReadError {
        reason: Reason::NoAccess,
        attempted: "read a list that cannot be empty",
        detail: "the answer is empty".to_owned(),
        remedy: "see whether the identity still has access to this meeting",
        retry_after: None,
        used_up: None,
        requests: 0,
    }
}

/// The error for an empty body where somebody was.
fn blank() -> ReadError {
    ReadError {
        reason: Reason::Malformed,
        attempted: "read a list",
        detail: "the response is empty, which proves nothing while somebody is there".to_owned(),
        remedy: "",
        retry_after: None,
        used_up: None,
        requests: 0,
    }
}

impl WatchedConference {
    /// Takes in the result of the read under way.
    pub fn answered(
        &mut self,
        result: Result<Reading, ReadError>,
        context: &ConferenceContext<'_>,
        moment: Moment,
        random: &mut Random,
    ) -> NextStep {
        let InFlight::Reading(task) = std::mem::replace(&mut self.in_flight, InFlight::Nothing) else {
            return NextStep::GoOn;
        };
        if std::mem::take(&mut self.discards_answer) {
            // The answer shows what another identity may see, so it says nothing about absence.
            return NextStep::GoOn;
        }
        match result {
            Ok(reading) if reading.blank && !self.may_be_blank(&task) => {
                self.failed(&task, &blank(), context, moment, random);
                NextStep::GoOn
            }
            Ok(reading) if !reading.unreadable.is_incomplete() && self.is_implausibly_empty(&task, &reading.answer) => {
                self.failed(&task, &nothing_shown(), context, moment, random);
                NextStep::GoOn
            }
            Ok(reading) => {
                self.in_part = reading.unreadable.is_incomplete();
                if reading.blank && matches!(task, ConferenceTask::Live(Purpose::Listing { .. })) {
                    return self.confirm_empty(moment);
                }
                self.in_part |= reading.blank;
                if is_whole(&task) {
                    (self.last_readable, self.unreadable_before, self.refused_since) =
                        (moment.now.mono, Duration::ZERO, None);
                }
                self.take_in(task, reading.answer, context, moment, random)
            }
            Err(error) => {
                self.failed(&task, &error, context, moment, random);
                NextStep::GoOn
            }
        }
    }

    /// Returns whether an empty body may be an empty list: only where nobody was there.
    fn may_be_blank(&self, task: &ConferenceTask) -> bool {
        matches!(task, ConferenceTask::Live(Purpose::Listing { .. } | Purpose::Backfill))
            && self.roster.as_ref().is_some_and(|roster| roster.expected() == 0)
    }

    /// Reads the record before an empty listing counts.
    fn confirm_empty(&mut self, moment: Moment) -> NextStep {
        self.empty_unconfirmed = true;
        self.plan.confirm_by_record(moment.now.mono);
        NextStep::GoOn
    }

    /// Returns whether an answer is empty although it cannot be. Lost access may look like this. A conference begins when
    /// the first participant joins, so the list of all participants is never empty.
    fn is_implausibly_empty(&self, task: &ConferenceTask, answer: &Answer) -> bool {
        let Some(roster) = &self.roster else { return false };
        match (task, answer) {
            (
                ConferenceTask::Everybody | ConferenceTask::Live(Purpose::Listing { everybody: true }),
                Answer::Participants(all),
            ) => all.is_empty(),
            (ConferenceTask::Sessions(participant), Answer::Sessions(all)) => {
                let person = roster.participants().get(participant);
                all.is_empty() && person.is_some_and(|person| !person.sessions().is_empty())
            }
            _ => false,
        }
    }

    fn take_in(
        &mut self,
        task: ConferenceTask,
        answer: Answer,
        context: &ConferenceContext<'_>,
        moment: Moment,
        random: &mut Random,
    ) -> NextStep {
        if let Stage::Opening { record, space_asked, code, .. } = &mut self.stage {
            match answer {
                Answer::Conference(read) => *record = Some(read),
                Answer::Space(space) => (*space_asked, *code) = (true, space.meeting_code),
                // A reader's answer always fits the read.
                _ => {}
            }
            return NextStep::GoOn;
        }
        if !self.in_part
            && matches!((&task, &answer), (ConferenceTask::Live(Purpose::Listing { .. }), Answer::Participants(listed)) if listed.is_empty())
            && self.roster.as_ref().is_some_and(|roster| roster.expected() > 0)
        {
            // Either everybody left, or access was lost. The record tells which, so the listing counts once it was read.
            return self.confirm_empty(moment);
        }
        let reason = self.gap_reason;
        let seen = match (&task, answer) {
            (ConferenceTask::Live(Purpose::Listing { everybody: false }), Answer::Participants(participants)) => {
                Seen::Active { participants, reason }
            }
            (
                ConferenceTask::Live(Purpose::Listing { everybody: true }) | ConferenceTask::Everybody,
                Answer::Participants(participants),
            ) => Seen::Everybody { participants, reason },
            (_, Answer::Participants(participants)) => Seen::Participants(participants),
            (_, Answer::Conference(record)) => Seen::Record(record),
            (
                ConferenceTask::Live(Purpose::Recheck(participant)) | ConferenceTask::Sessions(participant),
                Answer::Sessions(sessions),
            ) => Seen::Sessions { participant: participant.clone(), sessions, all: true },
            (ConferenceTask::Live(Purpose::Sweep { participant, all }), Answer::Sessions(sessions)) => {
                Seen::Sessions { participant: participant.clone(), sessions, all: *all }
            }
            // A reader's answer always fits the read.
            _ => return NextStep::GoOn,
        };
        self.observe(task, seen, context, moment, random)
    }

    pub(super) fn failed(
        &mut self,
        task: &ConferenceTask,
        error: &ReadError,
        context: &ConferenceContext<'_>,
        moment: Moment,
        random: &mut Random,
    ) {
        let now = moment.now.mono;
        if matches!(task, ConferenceTask::Live(Purpose::Listing { .. }) | ConferenceTask::Everybody) {
            self.note_gap_reason(error.reason.as_str());
        }
        if *task == ConferenceTask::Live(Purpose::Record) && std::mem::take(&mut self.empty_unconfirmed) {
            // The empty listing is dropped.
            self.note_gap_reason(error.reason.as_str());
            self.plan.failed(&Purpose::Listing { everybody: false }, error.retry_after, now, random);
        }
        if is_whole(task) && is_lost(error.reason) {
            // Another identity may still see it.
            let next = usize::from(self.identities.len() > 1);
            self.identities.rotate_left(next);
            if self.note_unreadable(error.reason, now) && self.roster.is_some() {
                self.give_up(context, moment);
                return;
            }
        }
        if let ConferenceTask::Live(Purpose::Recheck(participant)) = task {
            let not_found = error.reason == Reason::NotFound;
            self.observe_without_commit(
                Seen::Unreadable { participant: participant.clone(), not_found },
                context,
                moment,
            );
        }
        match &mut self.stage {
            Stage::Opening { space_asked, .. } if *task == ConferenceTask::Space => *space_asked = true,
            // Discovery finds it again if it shows it again.
            Stage::Opening { failures, .. } if is_lost(error.reason) && *failures >= MAX_OPENING_REFUSALS => {
                self.stage = Stage::Closed;
            }
            Stage::Closing { closing, .. } => {
                match task {
                    ConferenceTask::Sessions(participant) => closing.failed(participant, error.reason),
                    ConferenceTask::Everybody => closing.list_failed(error.reason),
                    _ => {}
                }
                self.back_off(task, error.retry_after, now, random);
            }
            _ => self.back_off(task, error.retry_after, now, random),
        }
    }

    /// Notes why the conference could not be listed. The first reason counts until the next listing.
    pub(super) fn note_gap_reason(&mut self, reason: &'static str) {
        if self.gap_reason == LATE {
            self.gap_reason = reason;
        }
    }

    /// Notes a failed read of the whole conference. Returns whether it is to be given up.
    fn note_unreadable(&mut self, reason: Reason, now: Mono) -> bool {
        let unreadable = now.saturating_sub(self.last_readable) + self.unreadable_before;
        let refused = matches!(reason, Reason::NoAccess | Reason::NotFound)
            && now.saturating_sub(*self.refused_since.get_or_insert(now)) >= REFUSED_FOR;
        unreadable >= KEPT || (refused && unreadable >= GIVE_UP_AFTER)
    }

    /// Ends the conference with what is known, because no identity can read it any more.
    fn give_up(&mut self, context: &ConferenceContext<'_>, moment: Moment) {
        self.observe_without_commit(Seen::GivenUp, context, moment);
        self.stage = Stage::Closing { closing: Closing::nothing(), not_before: moment.now.mono, last: true };
    }

    /// Takes in an observation that emits nothing, and so needs no commit.
    fn observe_without_commit(&mut self, seen: Seen, context: &ConferenceContext<'_>, moment: Moment) {
        let (Some(roster), Some(by)) = (&self.roster, self.identities.first().cloned()) else { return };
        let outcome = roster.observe(
            &Observation { moment, by, seen, complete: true },
            context.lookup.directory(),
            &self.rules(context),
        );
        if outcome.emitted.is_empty() {
            self.roster = Some(outcome.roster);
        }
    }

    /// Sets when a task that failed is tried again.
    pub(super) fn back_off(&mut self, task: &ConferenceTask, asked: Option<Duration>, now: Mono, random: &mut Random) {
        if let ConferenceTask::Live(purpose) = task {
            self.plan.failed(purpose, asked, now, random);
        }
        match &mut self.stage {
            Stage::Opening { not_before, failures, .. } => {
                *failures = failures.saturating_add(1);
                *not_before = now + self.backoff.delay(*failures, random).max(asked.unwrap_or_default());
            }
            Stage::Closing { not_before, .. } => *not_before = closing::retry_at(now, asked),
            Stage::Live | Stage::AwaitingFinalRead { .. } | Stage::Closed => {}
        }
    }
}
