//! Pure: from an observation to a commit, and on from there once it is kept.

use jiff::Timestamp;

use super::{Act, Doing, LATE, Stage, Surroundings, Task, Watched};
use crate::backoff::Random;
use crate::clock::{Mono, elapsed, saturating_add};
use crate::store::{ConferenceRow, Phase};
use crate::watch::closing::{self, Closing};
use crate::watch::persist::{self, Context};
use crate::watch::plan::Purpose;
use crate::watch::roster::{Moment, Observation, Roster, Seen, Told};
use crate::watch::settings::REMEMBER_EVERY;

/// The reason of a gap in which what was read could not be kept.
const STORE: &str = "store";

impl Watched {
    pub(super) fn observe(
        &mut self,
        task: Task,
        seen: Seen,
        around: &Surroundings<'_>,
        moment: Moment,
        random: &mut Random,
    ) -> Act {
        let Some(before) = self.roster.clone() else { return Act::Forget };
        let act = self.commit_observation(task, &before, seen, around, moment);
        if let (Act::GoOn, Doing::Committing { .. }) = (&act, &self.doing) {
            // Nothing to write down: as good as committed.
            self.committed(true, around, moment, random);
        }
        act
    }

    /// Observes, and asks for the commit that the observation justifies; [`Act::GoOn`] if there is nothing to commit.
    pub(super) fn commit_observation(
        &mut self,
        task: Task,
        before: &Roster,
        seen: Seen,
        around: &Surroundings<'_>,
        moment: Moment,
    ) -> Act {
        let Some(by) = self.viewers.first().cloned() else { return Act::Forget };
        let nobody = matches!(&seen, Seen::Active { participants, .. } if participants.is_empty());
        let rules = self.rules(around);
        let observation = Observation { moment, by: by.clone(), seen };
        let outcome = before.observe(&observation, around.lookup.directory(), &rules);
        let targets: Vec<_> = self.targets.iter().cloned().collect();
        let (phase, final_read_due) = self.phase_after(&task, around, moment);
        let backfilled_to =
            if task == Task::Live(Purpose::Backfill) { Some(moment.google) } else { self.backfilled_to };
        let context =
            Context { phase, identity: &by, targets: &targets, routes: around.routes, backfilled_to, final_read_due };
        let told = outcome.told.clone();
        let worth_writing = !outcome.roster.is_same(before) || !told.is_empty();
        let row = Box::new(persist::conference(&outcome.roster, &context));
        let roster = Box::new(outcome.roster);
        if !worth_writing && !self.has_aged(&row) {
            self.doing = Doing::Committing { task, roster, row, nobody, told };
            return Act::GoOn;
        }
        match persist::commit(self.roster.as_ref(), &roster, outcome.told, &context) {
            Ok(commit) => {
                self.doing = Doing::Committing { task, roster, row, nobody, told };
                Act::Commit(Box::new(commit))
            }
            Err(error) => {
                tracing::error!(conference = %self.name, %error, "an observation is dropped; this is a defect, please report it");
                Act::WaitUntil(moment.now.mono + closing::RETRY)
            }
        }
    }

    fn phase_after(&self, task: &Task, around: &Surroundings<'_>, moment: Moment) -> (Phase, Option<Timestamp>) {
        match (&self.stage, task) {
            (Stage::Closing { last: true, .. }, Task::Complete) | (Stage::Closed, _) => (Phase::Closed, None),
            (Stage::Closing { last: false, .. }, Task::Complete) => {
                (Phase::Ended, Some(saturating_add(moment.google, around.settings.final_read)))
            }
            (Stage::Closing { last: true, .. } | Stage::Resting { .. }, _) => {
                (Phase::Ended, self.stored.as_ref().and_then(|row| row.final_read_due))
            }
            _ => (Phase::Live, None),
        }
    }

    /// Whether the row differs from the stored one by more than a recent listing.
    fn has_aged(&self, row: &ConferenceRow) -> bool {
        let Some(stored) = &self.stored else { return true };
        let aged = match (stored.last_listed, row.last_listed) {
            (Some(old), Some(new)) => elapsed(old, new) >= REMEMBER_EVERY,
            (old, new) => old != new,
        };
        aged || stored.phase != row.phase || stored.identity != row.identity || stored.targets != row.targets
    }

    /// The commit went well, or not. Returns what was told.
    pub fn committed(
        &mut self,
        well: bool,
        around: &Surroundings<'_>,
        moment: Moment,
        random: &mut Random,
    ) -> Vec<Told> {
        let now = moment.now.mono;
        let Doing::Committing { task, roster, row, nobody, told } = std::mem::replace(&mut self.doing, Doing::Nothing)
        else {
            return Vec::new();
        };
        if !well {
            if matches!(task, Task::Live(Purpose::Listing) | Task::Everybody) {
                self.blame(STORE);
            }
            self.put_off(&task, None, now, random);
            self.plan.pause(closing::retry_at(now, None));
            return Vec::new();
        }
        self.backfilled_to = row.backfilled_to;
        if !told.is_empty()
            || !self.roster.as_ref().is_some_and(|before| before.is_same(&roster))
            || self.has_aged(&row)
        {
            self.stored = Some(*row);
        }
        for gap in told.iter().filter_map(|told| told.event.gap.as_ref()) {
            self.gap_told = Some((gap.from, gap.to));
        }
        if let Task::Live(purpose) = &task {
            if *purpose == Purpose::Listing {
                self.trouble = LATE;
                self.plan.listed(nobody, now);
            }
            self.plan.done(purpose, &around.stretch, now, random);
        }
        self.move_on(&task, &roster, around, now);
        self.roster = Some(*roster);
        told
    }

    fn move_on(&mut self, task: &Task, roster: &Roster, around: &Surroundings<'_>, now: Mono) {
        let ended = roster.record().end.is_some();
        match (&mut self.stage, task) {
            (Stage::Opening { .. }, _) => self.stage = Stage::Live,
            (Stage::Closing { closing, .. }, Task::Everybody) => closing.listed(roster.people().keys()),
            (Stage::Closing { closing, .. }, Task::Sessions(participant)) => closing.read(participant),
            (Stage::Closing { last: true, .. }, Task::Complete) => self.stage = Stage::Closed,
            (Stage::Closing { .. }, Task::Complete) => {
                self.stage = Stage::Resting { due: now + around.settings.final_read, sure: true }
            }
            _ => {}
        }
        if ended && matches!(self.stage, Stage::Live) {
            self.stage = Stage::Closing { closing: Closing::of_everybody(), not_before: now, last: false };
        }
    }
}
