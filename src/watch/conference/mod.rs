//! Pure: one conference that is watched, from the first reading of its record to the last reading after its end.
//!
//! `next` says what to do, `answer` takes in what a reading brought or why it failed, `commit` observes and moves on
//! once that is kept.
//!
//! One thing at a time: a reading, or a commit. The roster is replaced only after the commit; if that fails, the
//! observation is dropped and read again.

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
use crate::backoff::Backoff;
use crate::clock::{Mono, Now, elapsed, saturating_add};
use crate::meet::{Priority, Read};
use crate::model::{
    Conference, ConferenceName, Gap, IdentityName, MeetingCode, ParticipantName, Route, SpaceName, TargetName,
};
use crate::store::{Commit, ConferenceRow, Phase, StoredConference};

/// What every conference's steps need besides the conference.
#[derive(Debug)]
pub struct ConferenceContext<'a> {
    pub settings: &'a WatchSettings,
    pub routes: &'a [Route],
    pub stretch: Stretch,
    pub lookup: &'a Lookup,
    /// Whether events wait for look-ups.
    pub looks_up: bool,
    pub codes: &'a BTreeMap<SpaceName, MeetingCode>,
    pub targets: &'a BTreeMap<TargetName, Target>,
}

/// One conference.
#[derive(Debug)]
pub struct WatchedConference {
    name: ConferenceName,
    roster: Option<Roster>,
    stage: Stage,
    plan: Plan,
    backoff: Backoff,
    periods: ReadPeriods,
    targets: BTreeSet<TargetName>,
    /// What ended before this time is not reported.
    since: Option<Timestamp>,
    /// Who may be able to see it; the first reads it.
    identities: Vec<IdentityName>,
    backfilled_to: Option<Timestamp>,
    /// The row as it is in the store.
    stored: Option<ConferenceRow>,
    /// The time in which nobody looked for it, before it was found.
    unobserved: Option<(Timestamp, Timestamp)>,
    /// The last gap that was told of it by this process.
    reported_gap: Option<(Timestamp, Timestamp)>,
    /// Why the last listing failed.
    gap_reason: &'static str,
    /// A listing showed nobody where somebody was: it counts once the record was read after it.
    empty_unconfirmed: bool,
    /// When the conference was last readable at all, or this process began.
    readable: Mono,
    /// How long it had not been read before that.
    unreadable_before: Duration,
    /// Since when Google has refused it, if it has since it was last readable.
    refused: Option<Mono>,
    in_flight: InFlight,
    /// Somebody else reads it from now on: what is being read is read once more.
    stale: bool,
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
    /// Read in full. Becomes `AwaitingFinalRead`, or nothing the second time.
    Closing { closing: Closing, not_before: Mono, last: bool },
    /// Told as ended; read in full once more when due.
    /// `sure`: whether the due time is this process's own; a stored one is held against Google's clock once that is known.
    AwaitingFinalRead { due: Mono, sure: bool },
    /// Nothing follows.
    Closed,
}

/// What is going on.
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

/// What a reading is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ConferenceTask {
    Record,
    Space,
    Live(Purpose),
    Everybody,
    Sessions(ParticipantName),
    /// Not a reading: everything was read.
    Complete,
}

/// What a conference wants done.
#[derive(Debug)]
pub enum NextStep {
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

/// So long after a start answers have shown how far our clock is from Google's, if there are any.
const CLOCKS_KNOWN_AFTER: Duration = Duration::from_secs(60);

impl WatchedConference {
    /// A conference that was found just now, with its record where that came with it.
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
            empty_unconfirmed: false,
            readable: now,
            unreadable_before: Duration::ZERO,
            refused: None,
            in_flight: InFlight::Nothing,
            stale: false,
        }
    }

    /// It was found after a time in which nobody looked for it.
    #[must_use]
    pub fn after(self, unobserved: Option<(Timestamp, Timestamp)>) -> Self {
        Self { unobserved, ..self }
    }

    /// A conference as it was committed last.
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
                // However the wall clock has jumped, the wait is never longer than a whole one.
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
        // A conference that was out of sight before the restart goes on being so.
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

    /// Adds a target that reaches this conference, and the identity that can see it. The shortest interval holds.
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

    /// Other targets may reach it, too, and are being asked: nothing is told before `until`.
    pub fn wait_for_targets(&mut self, until: Mono) {
        if let Stage::Opening { not_before, .. } = &mut self.stage {
            *not_before = until.max(*not_before);
        }
    }

    /// Whether it was found and nothing of it is kept yet.
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

    /// Drops the identities that are not configured any more, unless no other is left: then the conference waits for it,
    /// and is given up in the end.
    pub fn keep_identities(&mut self, keep: impl Fn(&IdentityName) -> bool) {
        if self.identities.iter().any(&keep) {
            self.identities.retain(keep);
        }
    }

    #[must_use]
    pub fn periods(&self) -> ReadPeriods {
        self.periods
    }

    /// What was read and refused lately is as it was, though all else is taken from the store again.
    pub fn keep_failures_of(&mut self, before: &Self) {
        (self.readable, self.unreadable_before, self.refused) =
            (before.readable, before.unreadable_before, before.refused);
        self.gap_reason = before.gap_reason;
    }

    /// Whether it told a gap that covers this one, about.
    #[must_use]
    pub fn reported_gap_covers(&self, gap: &Gap) -> bool {
        let about = Duration::from_secs(60);
        let covers = |(from, to): (Timestamp, Timestamp)| {
            from <= saturating_add(gap.from, about) && saturating_add(to, about) >= gap.to
        };
        self.reported_gap.is_some_and(covers)
    }

    /// Whether nobody has listed it for so long that the next listing tells a gap, or nobody in this process has.
    #[must_use]
    pub fn is_out_of_sight(&self, now: Mono) -> bool {
        let listed = self.roster.as_ref().and_then(Roster::listed);
        let unseen =
            |listed: &LastListing| listed.mono.is_none_or(|mono| now.saturating_sub(mono) >= listed.unobserved_after);
        self.is_live() && listed.is_some_and(unseen)
    }

    /// Whether it goes on, as far as is known.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.stage, Stage::Live)
    }

    #[must_use]
    pub fn is_busy(&self) -> bool {
        !matches!(self.in_flight, InFlight::Nothing)
    }

    /// Reads the record soon: discovery no longer shows it.
    pub fn vanished(&mut self, now: Mono) {
        self.plan.hurry_record(now);
    }

    fn rules(&self, context: &ConferenceContext<'_>) -> RosterRules {
        RosterRules::new(self.plan.interval(&context.stretch), self.periods.sweep, context.settings.leave_grace)
    }
}
