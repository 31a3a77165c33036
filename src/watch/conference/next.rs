//! Pure: decides what a conference reads or does next.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{ConferenceContext, ConferenceTask, InFlight, NextStep, Stage, WatchedConference};
use crate::backoff::Random;
use crate::clock::{Mono, elapsed};
use crate::meet::{ParticipantFilter, Priority, Read, SessionFilter};
use crate::model::ParticipantName;
use crate::watch::closing::{Closing, ClosingStep};
use crate::watch::plan::Purpose;
use crate::watch::roster::{Moment, Roster, Seen};
use crate::watch::settings::PARTICIPANTS_A_PAGE;
use crate::watch::target::Target;
use crate::watch::wish::Wish;

/// Records of those who left may appear late, so each backfill overlaps the one before by this much.
const OVERLAP: SignedDuration = SignedDuration::from_mins(15);

/// How patiently the reads of a conference are awaited: at its beginning, which everything else waits for; after its end;
/// and at the last reading, which only corrects what was reported.
const OPENING_PATIENCE: Duration = Duration::from_secs(5);
const CLOSING_PATIENCE: Duration = Duration::from_secs(60);
const LAST_CLOSING_PATIENCE: Duration = Duration::from_secs(600);

impl WatchedConference {
    /// Returns what to do now. Call it only while nothing is under way.
    pub fn next(&mut self, context: &ConferenceContext<'_>, moment: Moment, random: &mut Random) -> NextStep {
        let now = moment.now.mono;
        self.in_part = false;
        match &mut self.stage {
            Stage::Opening { record, space_asked, not_before, .. } => {
                if now < *not_before {
                    return NextStep::WaitUntil(*not_before);
                }
                let wish = Wish { due: *not_before, patience: OPENING_PATIENCE };
                let Some(record) = record else {
                    let read = Read::Conference(self.name.clone());
                    return self.read(context, wish, ConferenceTask::Record, Priority::Record, read);
                };
                if record.end.is_some_and(|end| self.since.is_none_or(|since| end < since)) {
                    // It ended before any target was watched.
                    return NextStep::Forget;
                }
                let known = record.space.as_ref().is_none_or(|space| context.codes.contains_key(space));
                match record.space.clone() {
                    Some(space) if !known && !*space_asked => {
                        self.read(context, wish, ConferenceTask::Space, Priority::Record, Read::Space(space))
                    }
                    _ => self.open(context, moment),
                }
            }
            Stage::Live => self.next_live(context, moment, random),
            Stage::Closing { closing, not_before, last } => {
                if now < *not_before {
                    return NextStep::WaitUntil(*not_before);
                }
                let patience = if *last { LAST_CLOSING_PATIENCE } else { CLOSING_PATIENCE };
                let wish = Wish { due: *not_before, patience };
                match closing.next() {
                    ClosingStep::Record => {
                        let read = Read::Conference(self.name.clone());
                        self.read(context, wish, ConferenceTask::Record, Priority::Closing, read)
                    }
                    ClosingStep::Everybody => {
                        let read = Read::Participants(self.name.clone(), ParticipantFilter::All);
                        self.read(context, wish, ConferenceTask::Everybody, Priority::Closing, read)
                    }
                    ClosingStep::Sessions(participant) => {
                        let read = Read::Sessions(participant.clone(), SessionFilter::All);
                        self.read(context, wish, ConferenceTask::Sessions(participant), Priority::Closing, read)
                    }
                    ClosingStep::Complete => {
                        self.observe(ConferenceTask::Complete, Seen::Complete, context, moment, random)
                    }
                }
            }
            Stage::AwaitingFinalRead { due, .. } if now < *due => NextStep::WaitUntil(*due),
            Stage::AwaitingFinalRead { due, sure: sure @ false } => {
                // Our clock may have been set since the time was stored. The wait is never longer than a whole one.
                let stored = self.stored.as_ref().and_then(|row| row.final_read_due);
                let left = stored.map_or(Duration::ZERO, |stored| elapsed(moment.google, stored));
                (*due, *sure) = (now + left.min(context.settings.final_read), true);
                NextStep::GoOn
            }
            Stage::AwaitingFinalRead { .. } => {
                self.stage = Stage::Closing { closing: Closing::complete(), not_before: now, last: true };
                NextStep::GoOn
            }
            Stage::Closed => NextStep::Forget,
        }
    }

    fn next_live(&mut self, context: &ConferenceContext<'_>, moment: Moment, random: &mut Random) -> NextStep {
        let now = moment.now.mono;
        if self.empty_unconfirmed && self.plan.record_is_read() {
            self.empty_unconfirmed = false;
            let seen = Seen::Active { participants: Vec::new(), reason: self.gap_reason };
            return self.observe(
                ConferenceTask::Live(Purpose::Listing { everybody: false }),
                seen,
                context,
                moment,
                random,
            );
        }
        let Some(roster) = &self.roster else { return NextStep::Forget };
        // After a restart a listing comes first: until a response shows Google's clock, the length of the gap is unknown.
        let unlisted = roster.listed().is_some_and(|listed| listed.mono.is_none());
        let unobserved = unlisted || roster.is_unobserved(moment, &self.rules(context));
        if !unobserved {
            self.plan.queue_sweep(roster, &context.stretch, now, random);
        }
        let held = |name: &ParticipantName| {
            let user = roster.participants().get(name).and_then(|person| person.user.as_ref());
            user.filter(|_| context.looks_up).and_then(|user| context.lookup.held_until(user))
        };
        let due = self.plan.due(roster, unobserved, &context.stretch, now, held);
        if due.reads.is_empty() {
            return NextStep::WaitUntil(due.next);
        }
        let Some(identity) = self.identities.first().cloned() else { return NextStep::Forget };
        if !context.may_read {
            let wishes = due.reads.iter().map(|read| read.wish).collect();
            return NextStep::Want { identity, wishes, next: due.next };
        }
        let Some(purpose) = due.latest(now) else { return NextStep::WaitUntil(now) };
        let read = self.read_for(&purpose, roster, moment);
        let priority = purpose.priority();
        let requests = self.requests_of(&read);
        self.in_flight = InFlight::Reading(ConferenceTask::Live(purpose));
        NextStep::Read { identity, priority, read, requests }
    }

    fn read_for(&self, purpose: &Purpose, roster: &Roster, moment: Moment) -> Read {
        let name = self.name.clone();
        match purpose {
            Purpose::Listing { everybody: true } => Read::Participants(name, ParticipantFilter::All),
            Purpose::Listing { everybody: false } => Read::Participants(name, ParticipantFilter::Active),
            Purpose::Record => Read::Conference(name),
            Purpose::Recheck(participant) | Purpose::Sweep { participant, all: true } => {
                Read::Sessions(participant.clone(), SessionFilter::All)
            }
            Purpose::Sweep { participant, all: false } => Read::Sessions(participant.clone(), SessionFilter::Open),
            Purpose::Backfill => {
                let since = self.backfilled_to.unwrap_or(roster.record().start).min(moment.google);
                Read::Participants(name, ParticipantFilter::LeftSince(since.saturating_sub(OVERLAP).unwrap_or(since)))
            }
        }
    }

    /// Returns how many requests a read is expected to take.
    fn requests_of(&self, read: &Read) -> u32 {
        let Some(roster) = &self.roster else { return 1 };
        let people = match read {
            Read::Participants(_, ParticipantFilter::Active) => roster.expected(),
            Read::Participants(_, ParticipantFilter::All) => roster.participants().len(),
            _ => 0,
        };
        u32::try_from(people / PARTICIPANTS_A_PAGE + 1).unwrap_or(u32::MAX)
    }

    /// Takes the record in: the first commit of the conference.
    fn open(&mut self, context: &ConferenceContext<'_>, moment: Moment) -> NextStep {
        let Stage::Opening { record: Some(record), code, .. } = &self.stage else { return NextStep::GoOn };
        let record = record.clone();
        let known = record.space.as_ref().and_then(|space| context.codes.get(space)).cloned();
        let code = code.clone().or(known);
        // These targets were not asked since, but their settings name the conference.
        let named = |target: &&Target| target.names(&self.name, record.space.as_ref(), code.as_ref());
        let named: Vec<_> = context.targets.values().filter(named).collect();
        for target in named {
            self.reached_by(target);
        }
        let unobserved = self.unobserved_until(record.start, moment.google);
        let roster = Roster::new(self.name.clone(), record.space.clone(), code, record.start).found_after(unobserved);
        self.commit_observation(ConferenceTask::Record, &roster, Seen::Record(record), context, moment)
    }

    /// Returns the span before the conference could be stored in which nobody observed it: before it was found, and while
    /// the store refused it.
    fn unobserved_until(&self, start: Timestamp, google: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let refused = self.store_failed_at.map(|at| (start.min(at), google));
        match (self.unobserved, refused) {
            (Some((from, to)), Some((since, until))) => Some((from.min(since), to.max(until))),
            (one, other) => one.or(other),
        }
    }

    /// Makes a read, or wishes for it if none may be made now.
    fn read(
        &mut self,
        context: &ConferenceContext<'_>,
        wish: Wish,
        task: ConferenceTask,
        priority: Priority,
        read: Read,
    ) -> NextStep {
        let Some(identity) = self.identities.first().cloned() else { return NextStep::Forget };
        if !context.may_read {
            return NextStep::Want { identity, wishes: vec![wish], next: Mono::MAX };
        }
        let requests = self.requests_of(&read);
        self.in_flight = InFlight::Reading(task);
        NextStep::Read { identity, priority, read, requests }
    }
}
