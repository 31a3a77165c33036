//! Pure: one watched conference, from the first read of its record to the last read after its end.
//!
//! It does one thing at a time. `next` says what is due: a read or a commit. A read is made only when the schedule allows it;
//! until then `next` returns what it wants to read. `answer` takes in the result of a read.
//! `commit` turns it into an observation, and continues once that is committed. `change` applies another configuration.
//!
//! The roster is replaced only after its commit succeeded. If the commit fails, the observation is dropped, and the same is
//! read again. So the events in the store and the state in memory never differ.
//!
//! The stages:
//!
//! 1. Opening: the record is read, and the meeting code of its space, if that is not known.
//! 2. Live: reads follow the [`Plan`], until the record has an end.
//! 3. Closing: the complete list of participants is read, then the sessions of each; when quota is short, only of those whose
//!    known sessions do not explain the list. What Google left open ends with the conference. Then the end is emitted.
//! 4. Awaiting the final read: Google may correct records for some minutes, so a second closing follows, reads everything, and
//!    corrects what was emitted.
//! 5. Closed.

mod answer;
mod change;
mod commit;
mod config_difference;
mod next;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

pub use config_difference::ConfigDifference;

use super::closing::Closing;
use super::gap::{LATE, NOT_RUNNING};
use super::lookup::Lookup;
use super::plan::{Plan, Purpose, ReadPeriods};
use super::roster::{EmittedEvent, LastListing, Roster, RosterRules};
use super::settings::WatchSettings;
use super::stretch::Stretch;
use super::target::Target;
use super::wish::Wish;
use crate::backoff::{Backoff, Random};
use crate::clock::{Mono, Now, elapsed, saturating_add};
use crate::meet::{Priority, Read};
use crate::model::{
    Conference, ConferenceName, Gap, IdentityName, MeetingCode, ParticipantName, Route, SpaceName, TargetName,
};
use crate::store::{Commit, ConferenceRow, Phase, StoredConference};

/// What the steps of a conference need beside the conference.
#[derive(Debug)]
pub struct ConferenceContext<'a> {
    pub settings: &'a WatchSettings,
    /// Whether a read may be made now. If not, [`NextStep::Want`] says which ones are due.
    pub may_read: bool,
    pub routes: &'a [Route],
    pub stretch: Stretch,
    pub lookup: &'a Lookup,
    /// Whether events wait for look-ups.
    pub looks_up: bool,
    pub codes: &'a BTreeMap<SpaceName, MeetingCode>,
    pub targets: &'a BTreeMap<TargetName, Target>,
}

/// One watched conference.
#[derive(Debug)]
pub struct WatchedConference {
    name: ConferenceName,
    roster: Option<Roster>,
    stage: Stage,
    plan: Plan,
    backoff: Backoff,
    periods: ReadPeriods,
    targets: BTreeSet<TargetName>,
    /// A conference that ended before this time is not reported.
    since: Option<Timestamp>,
    /// The identities that may be able to see it. The first one reads it.
    identities: Vec<IdentityName>,
    backfilled_to: Option<Timestamp>,
    /// The row as it is in the store.
    stored: Option<ConferenceRow>,
    /// The span before it was found in which nobody looked for it.
    unobserved: Option<(Timestamp, Timestamp)>,
    /// The last gap of it that this process reported.
    reported_gap: Option<(Timestamp, Timestamp)>,
    /// Why it is not listed, if that goes on for long enough to be a gap.
    gap_reason: &'static str,
    /// Whether only a part could be read of the answer that is being taken in.
    in_part: bool,
    /// When the store refused the first commit of the conference, if it did.
    store_failed_at: Option<Timestamp>,
    /// Whether a listing was empty although people were present. It counts only once the record was read after it.
    empty_unconfirmed: bool,
    /// When the record or a list was last read with success, or this process began.
    last_readable: Mono,
    /// How long it had not been readable before that.
    unreadable_before: Duration,
    /// Since when Google has refused it without a success between.
    refused_since: Option<Mono>,
    in_flight: InFlight,
    /// Whether another identity reads it from now on, so that the answer that is awaited is discarded.
    discards_answer: bool,
}

/// How far a conference has come.
#[derive(Debug)]
enum Stage {
    /// Found; nothing is stored of it. Becomes `Live`, or is forgotten.
    Opening {
        record: Option<Conference>,
        space_asked: bool,
        code: Option<MeetingCode>,
        not_before: Mono,
        failures: u32,
    },
    /// Read by its plan. Becomes `Closing` when the record has an end.
    Live,
    /// Being read completely. Becomes `AwaitingFinalRead`, or `Closed` after the last time.
    Closing { closing: Closing, not_before: Mono, last: bool },
    /// The end was emitted; read completely once more when due. `sure` says whether `due` was computed by this process. A
    /// stored time is compared with Google's clock once that is known.
    AwaitingFinalRead { due: Mono, sure: bool },
    /// Nothing follows.
    Closed,
}

/// What is under way.
#[derive(Debug)]
enum InFlight {
    Nothing,
    Reading(ConferenceTask),
    Committing {
        task: ConferenceTask,
        roster: Box<Roster>,
        row: Box<ConferenceRow>,
        nobody: bool,
        emitted: Vec<EmittedEvent>,
    },
}

/// What a read is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ConferenceTask {
    Record,
    Space,
    Live(Purpose),
    Everybody,
    Sessions(ParticipantName),
    /// Not a read: everything was read.
    Complete,
}

impl ConferenceTask {
    /// Returns the participant whose sessions a closing reads.
    const fn participant(&self) -> Option<&ParticipantName> {
        if let Self::Sessions(participant) = self { Some(participant) } else { None }
    }
}

/// What a conference does next.
#[derive(Debug)]
pub enum NextStep {
    Read {
        identity: IdentityName,
        priority: Priority,
        read: Read,
        /// How many requests it is expected to take.
        requests: u32,
    },
    /// Reads are due. Ask again when one may be made, and at `next`.
    Want {
        identity: IdentityName,
        wishes: Vec<Wish>,
        next: Mono,
    },
    Commit(Box<Commit>),
    /// Ask again at this time, or earlier.
    WaitUntil(Mono),
    /// Ask again now.
    GoOn,
    /// Nothing is left to watch.
    Forget,
}

/// So long after a start, responses have shown the difference to Google's clock, if there are any.
const CLOCKS_KNOWN_AFTER: Duration = Duration::from_secs(60);

impl WatchedConference {
    /// Creates a conference that was just found, with its record if the answer had it.
    #[must_use]
    pub fn found(
        name: ConferenceName,
        record: Option<Conference>,
        periods: ReadPeriods,
        backoff: Backoff,
        now: Mono,
    ) -> Self {
        Self {
            name,
            roster: None,
            stage: Stage::Opening { record, space_asked: false, code: None, not_before: now, failures: 0 },
            plan: Plan::new(periods, backoff, now),
            backoff,
            periods,
            targets: BTreeSet::new(),
            since: None,
            identities: Vec::new(),
            backfilled_to: None,
            stored: None,
            unobserved: None,
            reported_gap: None,
            gap_reason: LATE,
            in_part: false,
            store_failed_at: None,
            empty_unconfirmed: false,
            last_readable: now,
            unreadable_before: Duration::ZERO,
            refused_since: None,
            in_flight: InFlight::Nothing,
            discards_answer: false,
        }
    }

    /// Notes the span before it was found in which nobody looked for it.
    #[must_use]
    pub fn after(self, unobserved: Option<(Timestamp, Timestamp)>) -> Self {
        Self { unobserved, ..self }
    }

    /// Restores a conference from the store.
    #[must_use]
    pub fn restored(
        stored: StoredConference,
        periods: ReadPeriods,
        backoff: Backoff,
        settings: &WatchSettings,
        now: Now,
    ) -> Self {
        let row = stored.conference.clone();
        let stage = match row.phase {
            Phase::Live => Stage::Live,
            Phase::Ended => {
                // The wall clock may have been set since. The wait is never longer than a whole one.
                let left = row
                    .final_read_due
                    .map_or(settings.final_read, |due| elapsed(now.wall, due))
                    .min(settings.final_read);
                let known = CLOCKS_KNOWN_AFTER.min(settings.final_read);
                Stage::AwaitingFinalRead { due: now.mono + left.max(known), sure: false }
            }
            Phase::Closed => Stage::Closed,
        };
        let mut watched = Self::found(row.name.clone(), None, periods, backoff, now.mono);
        watched.stage = stage;
        watched.gap_reason = NOT_RUNNING;
        // A conference that was unreadable before the restart stays so.
        watched.unreadable_before = row.last_listed.map_or(Duration::ZERO, |at| elapsed(at, now.wall));
        let roster = Roster::restore(stored, now.mono);
        if let (Some(since), Some(listed)) = (roster.empty_since(), row.last_listed)
            && roster.expected() == 0
        {
            watched.plan.was_empty_for(elapsed(since, listed));
        }
        watched.roster = Some(roster);
        watched.backfilled_to = row.backfilled_to;
        watched.identities.extend(row.identity.clone());
        watched.stored = Some(row);
        watched
    }

    /// Adds a target that covers this conference, and the target's identity. The shortest interval of all targets applies.
    pub fn reached_by(&mut self, target: &Target) {
        let (settings, since) = (&target.settings, target.row.watched_since);
        self.targets.insert(settings.name.clone());
        self.since = Some(self.since.map_or(since, |known| known.min(since)));
        if !self.identities.contains(&settings.identity) {
            self.identities.push(settings.identity.clone());
        }
        self.periods.listing = self.periods.listing.min(settings.poll_interval);
        self.plan.set_periods(self.periods);
    }

    /// Emits nothing before `until`, because other targets may cover the conference too and are being asked.
    pub fn wait_for_targets(&mut self, until: Mono) {
        if let Stage::Opening { not_before, .. } = &mut self.stage {
            *not_before = until.max(*not_before);
        }
    }

    /// Returns whether nothing of it is stored yet.
    #[must_use]
    pub fn is_opening(&self) -> bool {
        matches!(self.stage, Stage::Opening { .. })
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
        self.identities.first()
    }

    /// Drops the identities that are not configured any more, unless that would leave none. Then the conference waits for
    /// its last one, and is given up in the end.
    pub fn keep_identities(&mut self, keep: impl Fn(&IdentityName) -> bool) {
        if self.identities.iter().any(&keep) {
            self.identities.retain(keep);
        }
    }

    #[must_use]
    pub fn periods(&self) -> ReadPeriods {
        self.periods
    }

    /// Keeps what was learnt about failures from the state before it was restored from the store.
    pub fn keep_failures_of(&mut self, before: &Self) {
        (self.last_readable, self.unreadable_before, self.refused_since) =
            (before.last_readable, before.unreadable_before, before.refused_since);
        self.gap_reason = before.gap_reason;
    }

    /// Returns whether it reported a gap that covers this one, give or take a minute.
    #[must_use]
    pub fn reported_gap_covers(&self, gap: &Gap) -> bool {
        let about = Duration::from_secs(60);
        let covers = |(from, to): (Timestamp, Timestamp)| {
            from <= saturating_add(gap.from, about) && saturating_add(to, about) >= gap.to
        };
        self.reported_gap.is_some_and(covers)
    }

    /// Returns whether the next listing will report a gap, or no listing was made by this process yet.
    #[must_use]
    pub fn is_out_of_sight(&self, now: Mono) -> bool {
        let listed = self.roster.as_ref().and_then(Roster::listed);
        let unseen =
            |listed: &LastListing| listed.mono.is_none_or(|mono| now.saturating_sub(mono) >= listed.unobserved_after);
        self.is_live() && listed.is_some_and(unseen)
    }

    /// Returns whether the conference goes on, as far as is known.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.stage, Stage::Live)
    }

    #[must_use]
    pub fn is_busy(&self) -> bool {
        !matches!(self.in_flight, InFlight::Nothing)
    }

    /// Notes that discovery no longer shows it: its record is read soon.
    pub fn vanished(&mut self, now: Mono) {
        self.plan.hurry_record(now);
    }

    /// Notes that discovery showed that it goes on: its record need not be read for that, unless somebody may have left of whom
    /// Google shows no end.
    pub fn shown_live(&mut self, now: Mono, random: &mut Random) {
        if !self.roster.as_ref().is_some_and(Roster::has_missing) {
            self.plan.shown_live(now, random);
        }
    }

    fn rules(&self, context: &ConferenceContext<'_>) -> RosterRules {
        let interval = self.plan.interval(&context.stretch);
        let rules = RosterRules::new(interval, self.periods.sweep, context.settings.leave_grace);
        if context.stretch.is_tight {
            // The participant resource shows the same time, and its sessions follow when there is room.
            return RosterRules { sessions_wait: Duration::ZERO, ..rules };
        }
        rules
    }
}
