//! Pure: turns an observation into a commit, and continues once it is committed.

use jiff::Timestamp;

use super::{ConferenceContext, ConferenceTask, InFlight, NextStep, Stage, WatchedConference};
use crate::backoff::Random;
use crate::clock::{Mono, elapsed, saturating_add};
use crate::store::{ConferenceRow, Phase};
use crate::watch::closing::{self, Closing};
use crate::watch::gap::{LATE, STORE};
use crate::watch::persist::{self, CommitContext};
use crate::watch::plan::Purpose;
use crate::watch::roster::{EmittedEvent, Moment, Observation, Roster, Seen};
use crate::watch::settings::REMEMBER_EVERY;

impl WatchedConference {
    pub(super) fn observe(
        &mut self,
        task: ConferenceTask,
        seen: Seen,
        context: &ConferenceContext<'_>,
        moment: Moment,
        random: &mut Random,
    ) -> NextStep {
        let Some(before) = self.roster.clone() else { return NextStep::Forget };
        let next = self.commit_observation(task, &before, seen, context, moment);
        if let (NextStep::GoOn, InFlight::Committing { .. }) = (&next, &self.in_flight) {
            // Nothing has to be stored, which counts as committed.
            self.committed(true, context, moment, random);
        }
        next
    }

    /// Observes, and returns the commit that follows, or [`NextStep::GoOn`] if nothing has to be stored.
    pub(super) fn commit_observation(
        &mut self,
        task: ConferenceTask,
        before: &Roster,
        seen: Seen,
        context: &ConferenceContext<'_>,
        moment: Moment,
    ) -> NextStep {
        let Some(by) = self.identities.first().cloned() else { return NextStep::Forget };
        let complete = !self.in_part;
        let is_empty = match &seen {
            Seen::Active { participants, .. } => participants.is_empty(),
            Seen::Everybody { participants, .. } => participants.iter().all(|read| read.latest_end.is_some()),
            _ => false,
        };
        let nobody = complete && is_empty;
        let rules = self.rules(context);
        let observation = Observation { moment, by: by.clone(), seen, complete };
        let outcome = before.observe(&observation, context.lookup.directory(), &rules);
        let targets: Vec<_> = self.targets.iter().cloned().collect();
        let (phase, final_read_due) = self.phase_after(&task, context, moment);
        // Who could not be read is listed again.
        let backfilled =
            complete && matches!(task, ConferenceTask::Live(Purpose::Backfill | Purpose::Listing { everybody: true }));
        let backfilled_to = if backfilled { Some(moment.google) } else { self.backfilled_to };
        let commit_context = CommitContext {
            phase,
            identity: &by,
            targets: &targets,
            routes: context.routes,
            backfilled_to,
            final_read_due,
        };
        let emitted = outcome.emitted.clone();
        let worth_writing = !outcome.roster.is_same(before) || !emitted.is_empty();
        let row = Box::new(persist::conference(&outcome.roster, &commit_context));
        let roster = Box::new(outcome.roster);
        if !worth_writing && !self.has_aged(&row) {
            self.in_flight = InFlight::Committing { task, roster, row, nobody, emitted };
            return NextStep::GoOn;
        }
        match persist::commit(self.roster.as_ref(), &roster, outcome.emitted, &commit_context) {
            Ok(commit) => {
                self.in_flight = InFlight::Committing { task, roster, row, nobody, emitted };
                NextStep::Commit(Box::new(commit))
            }
            Err(error) => {
                tracing::error!(conference = %self.name, %error, "an observation is dropped; this is a defect, please report it");
                NextStep::WaitUntil(moment.now.mono + closing::RETRY)
            }
        }
    }

    fn phase_after(
        &self,
        task: &ConferenceTask,
        context: &ConferenceContext<'_>,
        moment: Moment,
    ) -> (Phase, Option<Timestamp>) {
        match (&self.stage, task) {
            (Stage::Closing { last: true, .. }, ConferenceTask::Complete) | (Stage::Closed, _) => (Phase::Closed, None),
            (Stage::Closing { last: false, .. }, ConferenceTask::Complete) => {
                (Phase::Ended, Some(saturating_add(moment.google, context.settings.final_read)))
            }
            (Stage::Closing { last: true, .. } | Stage::AwaitingFinalRead { .. }, _) => {
                (Phase::Ended, self.stored.as_ref().and_then(|row| row.final_read_due))
            }
            _ => (Phase::Live, None),
        }
    }

    /// Returns whether the row differs from the stored one by more than a recent time of listing.
    fn has_aged(&self, row: &ConferenceRow) -> bool {
        let Some(stored) = &self.stored else { return true };
        let aged = match (stored.last_listed, row.last_listed) {
            (Some(old), Some(new)) => elapsed(old, new) >= REMEMBER_EVERY,
            (old, new) => old != new,
        };
        aged || stored.phase != row.phase || stored.identity != row.identity || stored.targets != row.targets
    }

    /// Notes that the commit succeeded or failed. Returns the events that it committed.
    pub fn committed(
        &mut self,
        succeeded: bool,
        context: &ConferenceContext<'_>,
        moment: Moment,
        random: &mut Random,
    ) -> Vec<EmittedEvent> {
        let now = moment.now.mono;
        let InFlight::Committing { task, roster, row, nobody, emitted } =
            std::mem::replace(&mut self.in_flight, InFlight::Nothing)
        else {
            return Vec::new();
        };
        if !succeeded {
            if matches!(task, ConferenceTask::Live(Purpose::Listing { .. }) | ConferenceTask::Everybody) {
                self.note_gap_reason(STORE);
            }
            if self.is_opening() {
                self.store_failed_at.get_or_insert(moment.google);
            }
            self.back_off(&task, None, now, random);
            self.plan.pause(closing::retry_at(now, None));
            return Vec::new();
        }
        self.backfilled_to = row.backfilled_to;
        if !emitted.is_empty()
            || !self.roster.as_ref().is_some_and(|before| before.is_same(&roster))
            || self.has_aged(&row)
        {
            self.stored = Some(*row);
        }
        for gap in emitted.iter().filter_map(|emitted| emitted.event.gap.as_ref()) {
            self.reported_gap = Some((gap.from, gap.to));
        }
        if let ConferenceTask::Live(purpose) = &task {
            if matches!(purpose, Purpose::Listing { .. }) {
                self.gap_reason = LATE;
                self.plan.listed(nobody, now);
            }
            self.plan.done(purpose, &context.stretch, now, random);
        }
        self.move_on(&task, &roster, context, now);
        self.roster = Some(*roster);
        emitted
    }

    fn move_on(&mut self, task: &ConferenceTask, roster: &Roster, context: &ConferenceContext<'_>, now: Mono) {
        let ended = roster.record().end.is_some();
        let in_part = std::mem::take(&mut self.in_part);
        match (&mut self.stage, task) {
            (Stage::Opening { .. }, _) => self.stage = Stage::Live,
            (Stage::Closing { closing, not_before, last }, ConferenceTask::Everybody | ConferenceTask::Sessions(_)) => {
                if in_part && closing.read_in_part(task.participant()) {
                    *not_before = closing::retry_at(now, None);
                } else if let Some(participant) = task.participant() {
                    closing.read(participant);
                } else {
                    // When quota is short, sessions that explain what the list shows wait for the last reading.
                    let all = *last || !context.stretch.is_tight;
                    let participants = roster.participants().iter();
                    closing.listed(
                        participants.filter(|(_, person)| all || person.is_inconsistent()).map(|(name, _)| name),
                    );
                }
            }
            (Stage::Closing { closing, .. }, ConferenceTask::Record) => {
                closing.record_read(roster.participants().keys());
            }
            (Stage::Closing { last: true, .. }, ConferenceTask::Complete) => self.stage = Stage::Closed,
            (Stage::Closing { .. }, ConferenceTask::Complete) => {
                self.stage = Stage::AwaitingFinalRead { due: now + context.settings.final_read, sure: true }
            }
            _ => {}
        }
        if ended && matches!(self.stage, Stage::Live) {
            self.stage = Stage::Closing { closing: Closing::complete(), not_before: now, last: false };
        }
    }
}
