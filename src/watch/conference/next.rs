//! Pure: what a conference wants done next.

use std::time::Duration;

use jiff::SignedDuration;

use super::{Act, Doing, Stage, Surroundings, Task, Watched};
use crate::backoff::Random;
use crate::clock::elapsed;
use crate::meet::{ParticipantFilter, Priority, Read, SessionFilter};
use crate::model::ParticipantName;
use crate::watch::closing::{Closing, ClosingStep};
use crate::watch::plan::{Next, Purpose};
use crate::watch::roster::{Moment, Roster, Seen};
use crate::watch::target::Target;

/// Records of those who left may show up late: they are asked for again for so long.
const OVERLAP: SignedDuration = SignedDuration::from_mins(15);

impl Watched {
    /// What to do now. Only to be asked while nothing is going on.
    pub fn next(&mut self, around: &Surroundings<'_>, moment: Moment, random: &mut Random) -> Act {
        let now = moment.now.mono;
        match &mut self.stage {
            Stage::Opening { record, space_asked, not_before, .. } => {
                if now < *not_before {
                    return Act::WaitUntil(*not_before);
                }
                let Some(record) = record else {
                    return self.read(Task::Record, Priority::Record, Read::Conference(self.name.clone()));
                };
                if record.end.is_some_and(|end| self.since.is_none_or(|since| end < since)) {
                    // It was over before anybody asked for it.
                    return Act::Forget;
                }
                let known = record.space.as_ref().is_none_or(|space| around.codes.contains_key(space));
                match record.space.clone() {
                    Some(space) if !known && !*space_asked => {
                        self.read(Task::Space, Priority::Record, Read::Space(space))
                    }
                    _ => self.open(around, moment),
                }
            }
            Stage::Live => self.next_live(around, moment, random),
            Stage::Closing { closing, not_before, .. } => {
                if now < *not_before {
                    return Act::WaitUntil(*not_before);
                }
                match closing.next() {
                    ClosingStep::Everybody => {
                        let read = Read::Participants(self.name.clone(), ParticipantFilter::All);
                        self.read(Task::Everybody, Priority::Closing, read)
                    }
                    ClosingStep::Sessions(participant) => {
                        let read = Read::Sessions(participant.clone(), SessionFilter::All);
                        self.read(Task::Sessions(participant), Priority::Closing, read)
                    }
                    ClosingStep::Complete => self.observe(Task::Complete, Seen::Complete, around, moment, random),
                }
            }
            Stage::Resting { due, .. } if now < *due => Act::WaitUntil(*due),
            Stage::Resting { due, sure: sure @ false } => {
                // Our clock may have been set since it was stored. However that is, the wait is never longer than a whole one.
                let stored = self.stored.as_ref().and_then(|row| row.final_read_due);
                let left = stored.map_or(Duration::ZERO, |stored| elapsed(moment.google, stored));
                (*due, *sure) = (now + left.min(around.settings.final_read), true);
                Act::GoOn
            }
            Stage::Resting { .. } => {
                self.stage = Stage::Closing { closing: Closing::of_everybody(), not_before: now, last: true };
                Act::GoOn
            }
            Stage::Closed => Act::Forget,
        }
    }

    fn next_live(&mut self, around: &Surroundings<'_>, moment: Moment, random: &mut Random) -> Act {
        let now = moment.now.mono;
        if self.doubtful && self.plan.record_is_read() {
            self.doubtful = false;
            let seen = Seen::Active { participants: Vec::new(), reason: self.trouble };
            return self.observe(Task::Live(Purpose::Listing), seen, around, moment, random);
        }
        let Some(roster) = &self.roster else { return Act::Forget };
        // After a restart a listing comes first: until Google's clock is known, nobody can say for how long nobody looked.
        let unlisted = roster.listed().is_some_and(|listed| listed.mono.is_none());
        let blind = unlisted || roster.is_blind(moment, &self.rules(around));
        if !blind {
            self.plan.line_up(roster, &around.stretch, now, random);
        }
        let held = |name: &ParticipantName| {
            let user = roster.people().get(name).and_then(|person| person.user.as_ref());
            user.filter(|_| around.looks_up).and_then(|user| around.lookup.held_until(user))
        };
        match self.plan.next(roster, blind, now, held) {
            Next::WaitUntil(at) => Act::WaitUntil(at),
            Next::Read(purpose) => {
                let name = self.name.clone();
                let read = match &purpose {
                    Purpose::Listing => Read::Participants(name, ParticipantFilter::Active),
                    Purpose::Record => Read::Conference(name),
                    Purpose::Person(participant) | Purpose::Sweep { participant, all: true } => {
                        Read::Sessions(participant.clone(), SessionFilter::All)
                    }
                    Purpose::Sweep { participant, all: false } => {
                        Read::Sessions(participant.clone(), SessionFilter::Open)
                    }
                    Purpose::Backfill => {
                        let since = self.backfilled_to.unwrap_or(roster.record().start).min(moment.google);
                        Read::Participants(
                            name,
                            ParticipantFilter::LeftSince(since.saturating_sub(OVERLAP).unwrap_or(since)),
                        )
                    }
                };
                self.read(Task::Live(purpose.clone()), purpose.priority(), read)
            }
        }
    }

    /// Takes the record in: from here on the conference is watched.
    fn open(&mut self, around: &Surroundings<'_>, moment: Moment) -> Act {
        let Stage::Opening { record: Some(record), code, .. } = &self.stage else { return Act::GoOn };
        let record = record.clone();
        let known = record.space.as_ref().and_then(|space| around.codes.get(space)).cloned();
        let code = code.clone().or(known);
        // It has not been asked since, but there is no doubt what it would say.
        let named = |target: &&Target| target.names(&self.name, record.space.as_ref(), code.as_ref());
        let named: Vec<_> = around.targets.values().filter(named).collect();
        for target in named {
            self.reached_by(target);
        }
        let roster = Roster::new(self.name.clone(), record.space.clone(), code, record.start).found_after(self.blind);
        self.commit_observation(Task::Record, &roster, Seen::Record(record), around, moment)
    }

    fn read(&mut self, task: Task, priority: Priority, read: Read) -> Act {
        let Some(identity) = self.viewers.first().cloned() else { return Act::Forget };
        self.doing = Doing::Reading(task);
        Act::Read { identity, priority, read }
    }
}
