//! Pure: one conference that is watched, from the first reading of its record to the last reading after its end.
//!
//! One thing at a time: a reading, or a commit. The roster is replaced only after the commit; if that fails, the
//! observation is dropped and read again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::closing::{self, Closing, ClosingStep};
use super::lookup::Lookup;
use super::persist::{self, Context};
use super::plan::{Next, Plan, Purpose, Rhythm};
use super::roster::{Moment, Observation, Roster, Rules, Seen, Told};
use super::settings::WatchSettings;
use super::stretch::Stretch;
use crate::backoff::{Backoff, Random};
use crate::clock::{Mono, Now, elapsed, saturating_add};
use crate::meet::{Answer, ParticipantFilter, Priority, Read, ReadError, Reading, Reason, SessionFilter};
use crate::model::{Conference, ConferenceName, IdentityName, MeetingCode, Route, SpaceName, TargetName};
use crate::store::{Commit, ConferenceRow, Phase, StoredConference};

/// Records of those who left may show up late: they are asked for again for so long.
const OVERLAP: SignedDuration = SignedDuration::from_mins(15);
/// How often the time of the last listing is written down when nothing else is.
const REMEMBER_EVERY: SignedDuration = SignedDuration::from_secs(60);
/// A record that no identity can read for so long is given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);
/// The reason of a gap that began while this process did not run.
pub const NOT_RUNNING: &str = "not_running";
/// The reason of a gap in which nothing failed and yet nothing was read in time: quota, a machine that slept.
pub const LATE: &str = "late";
/// The reason of a gap in which what was read could not be kept.
const STORE: &str = "store";

/// What every conference's steps need besides the conference.
#[derive(Debug)]
pub struct Surroundings<'a> {
    pub settings: &'a WatchSettings,
    pub routes: &'a [Route],
    pub stretch: Stretch,
    pub lookup: &'a Lookup,
    /// Whether events wait for look-ups.
    pub looks_up: bool,
    pub codes: &'a BTreeMap<SpaceName, MeetingCode>,
}

/// One conference.
#[derive(Debug)]
pub struct Watched {
    name: ConferenceName,
    roster: Option<Roster>,
    stage: Stage,
    plan: Plan,
    rhythm: Rhythm,
    targets: BTreeSet<TargetName>,
    /// What ended before this time is not reported.
    since: Option<Timestamp>,
    /// Who may be able to see it; the first reads it.
    viewers: Vec<IdentityName>,
    backfilled_to: Option<Timestamp>,
    /// The row as it is in the store.
    stored: Option<ConferenceRow>,
    /// The time in which nobody looked for it, before it was found.
    blind: Option<(Timestamp, Timestamp)>,
    /// Why the last listing failed.
    trouble: &'static str,
    /// A listing showed nobody where somebody was: it counts once the record was read after it.
    doubtful: bool,
    /// When the conference was last readable at all.
    readable: Mono,
    doing: Doing,
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

/// How far a conference has come.
#[derive(Debug)]
enum Stage {
    /// Found, its record not taken in yet. Becomes `Live`, or is forgotten.
    Opening {
        record: Option<Conference>,
        space_asked: bool,
        code: Option<MeetingCode>,
        not_before: Mono,
        failures: u32,
    },
    /// Polled by its plan. Becomes `Closing` when the record has an end.
    Live,
    /// Read in full. Becomes `Resting`, or nothing the second time.
    Closing { closing: Closing, not_before: Mono, last: bool },
    /// Told as ended; read in full once more when due.
    Resting { due: Mono },
    /// Nothing follows.
    Closed,
}

/// What is going on.
#[derive(Debug)]
enum Doing {
    Nothing,
    Reading(Task),
    Committing { task: Task, roster: Box<Roster>, row: Box<ConferenceRow>, nobody: bool, told: Vec<Told> },
}

/// What a reading is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Task {
    Record,
    Space,
    Live(Purpose),
    Everybody,
    Sessions(crate::model::ParticipantName),
    /// Not a reading: everything was read.
    Complete,
}

/// What a conference wants done.
#[derive(Debug)]
pub enum Act {
    Read {
        identity: IdentityName,
        priority: Priority,
        read: Read,
    },
    Commit(Box<Commit>),
    /// Ask again then, at the latest.
    WaitUntil(Mono),
    /// Ask again now.
    GoOn,
    /// There is nothing (any more) to watch.
    Forget,
}

impl Watched {
    /// A conference that was found just now, with its record where that came with it.
    #[must_use]
    pub fn found(
        name: ConferenceName,
        record: Option<Conference>,
        rhythm: Rhythm,
        backoff: Backoff,
        now: Mono,
    ) -> Self {
        Self {
            name,
            roster: None,
            stage: Stage::Opening { record, space_asked: false, code: None, not_before: now, failures: 0 },
            plan: Plan::new(rhythm, backoff, now),
            rhythm,
            targets: BTreeSet::new(),
            since: None,
            viewers: Vec::new(),
            backfilled_to: None,
            stored: None,
            blind: None,
            trouble: LATE,
            doubtful: false,
            readable: now,
            doing: Doing::Nothing,
        }
    }

    /// It was found after a time in which nobody looked for it.
    #[must_use]
    pub fn after(self, blind: Option<(Timestamp, Timestamp)>) -> Self {
        Self { blind, ..self }
    }

    /// A conference as it was committed last.
    #[must_use]
    pub fn restored(
        stored: StoredConference,
        rhythm: Rhythm,
        backoff: Backoff,
        settings: &WatchSettings,
        now: Now,
    ) -> Self {
        let row = stored.conference.clone();
        let stage = match row.phase {
            Phase::Live => Stage::Live,
            Phase::Ended => {
                // However the wall clock has jumped, the wait is never longer than a whole one.
                let left = row
                    .final_read_due
                    .map_or(settings.final_read, |due| elapsed(now.wall, due))
                    .min(settings.final_read);
                Stage::Resting { due: now.mono + left }
            }
            Phase::Closed => Stage::Closed,
        };
        let mut watched = Self::found(row.name.clone(), None, rhythm, backoff, now.mono);
        watched.stage = stage;
        watched.trouble = NOT_RUNNING;
        // A conference that was out of sight before the restart goes on being so.
        let unseen = row.last_listed.map_or(Duration::ZERO, |at| elapsed(at, now.wall));
        watched.readable = now.mono.saturating_sub(unseen);
        watched.roster = Some(Roster::restore(stored, now.mono));
        watched.backfilled_to = row.backfilled_to;
        watched.viewers.extend(row.identity.clone());
        watched.stored = Some(row);
        watched
    }

    /// Adds a target that shows this conference, and the identity that can see it.
    /// `since`: what ended before is not reported for this target's sake.
    pub fn reached_by(&mut self, target: &TargetName, identity: &IdentityName, since: Timestamp) {
        self.targets.insert(target.clone());
        self.since = Some(self.since.map_or(since, |known| known.min(since)));
        if !self.viewers.contains(identity) {
            self.viewers.push(identity.clone());
        }
    }

    #[must_use]
    pub fn roster(&self) -> Option<&Roster> {
        self.roster.as_ref()
    }

    pub fn targets(&self) -> impl Iterator<Item = &TargetName> {
        self.targets.iter()
    }

    #[must_use]
    pub fn identity(&self) -> Option<&IdentityName> {
        self.viewers.first()
    }

    /// Drops the identities that cannot read any more.
    pub fn keep_viewers(&mut self, keep: impl Fn(&IdentityName) -> bool) {
        self.viewers.retain(keep);
    }

    #[must_use]
    pub fn rhythm(&self) -> Rhythm {
        self.rhythm
    }

    /// Whether it goes on, as far as is known.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.stage, Stage::Live)
    }

    #[must_use]
    pub fn is_busy(&self) -> bool {
        !matches!(self.doing, Doing::Nothing)
    }

    /// Reads the record soon: discovery no longer shows it.
    pub fn vanished(&mut self, now: Mono) {
        self.plan.hurry_record(now);
    }

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
            Stage::Resting { due } if now < *due => Act::WaitUntil(*due),
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
        let blind = roster.is_blind(moment, &self.rules(around));
        if !blind {
            self.plan.line_up(roster, &around.stretch, now, random);
        }
        let held = |name: &crate::model::ParticipantName| {
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
                        let since = self.backfilled_to.unwrap_or(roster.record().start);
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
        if record.end.is_some_and(|end| self.since.is_none_or(|since| end < since)) {
            return Act::Forget;
        }
        let known = record.space.as_ref().and_then(|space| around.codes.get(space)).cloned();
        let code = code.clone().or(known);
        let roster = Roster::new(self.name.clone(), record.space.clone(), code, record.start).found_after(self.blind);
        self.commit_observation(Task::Record, &roster, Seen::Record(record), around, moment)
    }

    fn read(&mut self, task: Task, priority: Priority, read: Read) -> Act {
        let Some(identity) = self.viewers.first().cloned() else { return Act::Forget };
        self.doing = Doing::Reading(task);
        Act::Read { identity, priority, read }
    }

    /// Takes in what a reading brought.
    pub fn answered(
        &mut self,
        result: Result<Reading, ReadError>,
        around: &Surroundings<'_>,
        moment: Moment,
        random: &mut Random,
    ) -> Act {
        let Doing::Reading(task) = std::mem::replace(&mut self.doing, Doing::Nothing) else { return Act::GoOn };
        match result {
            Ok(reading) if self.shows_less(&task, &reading.answer) => {
                self.failed(&task, &nothing_shown(), around, moment, random);
                Act::GoOn
            }
            Ok(reading) => self.understood(task, reading.answer, around, moment, random),
            Err(error) => {
                self.failed(&task, &error, around, moment, random);
                Act::GoOn
            }
        }
    }

    /// Whether an answer is empty although something was there to be read before: so lost access looks at times.
    fn shows_less(&self, task: &Task, answer: &Answer) -> bool {
        let Some(roster) = &self.roster else { return false };
        match (task, answer) {
            (Task::Everybody, Answer::Participants(all)) => all.is_empty() && !roster.people().is_empty(),
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

    fn observe(
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
    fn commit_observation(
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
                (Phase::Ended, Some(saturating_add(moment.now.wall, around.settings.final_read)))
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
            (Some(old), Some(new)) => new.duration_since(old) >= REMEMBER_EVERY,
            (old, new) => old != new,
        };
        aged || stored.phase != row.phase || stored.identity != row.identity
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
                self.trouble = STORE;
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
        if matches!(task, Task::Record | Task::Everybody | Task::Live(Purpose::Listing | Purpose::Record)) {
            self.readable = now;
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
                self.stage = Stage::Resting { due: now + around.settings.final_read }
            }
            _ => {}
        }
        if ended && matches!(self.stage, Stage::Live) {
            self.stage = Stage::Closing { closing: Closing::of_everybody(), not_before: now, last: false };
        }
    }

    fn failed(
        &mut self,
        task: &Task,
        error: &ReadError,
        around: &Surroundings<'_>,
        moment: Moment,
        random: &mut Random,
    ) {
        let now = moment.now.mono;
        if matches!(task, Task::Live(Purpose::Listing) | Task::Everybody) {
            self.trouble = error.reason.as_str();
        }
        if *task == Task::Live(Purpose::Record) && std::mem::take(&mut self.doubtful) {
            // The listing that showed nobody stays out of account.
            self.trouble = error.reason.as_str();
            self.plan.failed(&Purpose::Listing, error.retry_after, now, random);
        }
        let whole = matches!(task, Task::Record | Task::Everybody | Task::Live(Purpose::Listing | Purpose::Record));
        if whole && matches!(error.reason, Reason::NoAccess | Reason::NotFound) {
            // Another identity may still see it.
            let next = usize::from(self.viewers.len() > 1);
            self.viewers.rotate_left(next);
            if now.saturating_sub(self.readable) >= GIVE_UP_AFTER && self.roster.is_some() {
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
            Stage::Opening { failures, .. } if error.reason == Reason::NotFound && *failures >= 3 => {
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
    fn put_off(&mut self, task: &Task, asked: Option<Duration>, now: Mono, random: &mut Random) {
        if let Task::Live(purpose) = task {
            self.plan.failed(purpose, asked, now, random);
        }
        match &mut self.stage {
            Stage::Opening { not_before, failures, .. } => {
                *failures = failures.saturating_add(1);
                *not_before = closing::retry_at(now, asked);
            }
            Stage::Closing { not_before, .. } => *not_before = closing::retry_at(now, asked),
            Stage::Live | Stage::Resting { .. } | Stage::Closed => {}
        }
    }

    fn rules(&self, around: &Surroundings<'_>) -> Rules {
        Rules::new(self.plan.interval(&around.stretch), self.rhythm.sweep, around.settings.leave_grace)
    }
}
