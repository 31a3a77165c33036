//! Pure: when each read of one live conference is due, and which of those due comes first.
//!
//! A conference has four periodic reads: the listing of those present, the backfill (those who left since the last time),
//! the record, and the sweep (sessions of those present, a few at a time). Beside them are the rechecks that the roster
//! wants.

use std::collections::VecDeque;
use std::time::Duration;

use super::roster::Roster;
use super::settings::SWEEP_BATCH;
use super::stretch::Stretch;
use crate::backoff::{Backoff, Random, jittered};
use crate::clock::Mono;
use crate::meet::Priority;
use crate::model::ParticipantName;

/// How often each periodic read is due, before the quota stretches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadPeriods {
    pub listing: Duration,
    pub sweep: Duration,
    pub backfill: Duration,
    pub record: Duration,
}

/// What one read of a live conference is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// Everybody who is in the call.
    Listing,
    /// All sessions of a participant whose known state is inconsistent.
    Recheck(ParticipantName),
    /// The conference record.
    Record,
    /// The participants who left since the last backfill.
    Backfill,
    /// The sessions of the next participant of the sweep: all of them in every fifth round, the open ones otherwise.
    Sweep { participant: ParticipantName, all: bool },
}

impl Purpose {
    /// Returns the priority of the read when quota is short.
    #[must_use]
    pub fn priority(&self) -> Priority {
        match self {
            Self::Listing => Priority::Listing,
            Self::Recheck(_) => Priority::Person,
            Self::Record => Priority::Record,
            Self::Backfill => Priority::Backfill,
            Self::Sweep { .. } => Priority::Sweep,
        }
    }
}

/// What the plan does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanStep {
    Read(Purpose),
    WaitUntil(Mono),
}

/// A conference that was empty for this long is taken to stay empty. A shorter time does not tell: people often come one by
/// one, and a listing may lag.
const STAYS_EMPTY_AFTER: Duration = Duration::from_secs(120);
/// How often a conference that stays empty is listed.
const EMPTY_INTERVAL: Duration = Duration::from_secs(60);
/// Every such round of the sweep reads all sessions, not only the open ones.
const FULL_SWEEP_EVERY: u32 = 5;
/// The jitter of periods, as a share of each, so that conferences do not all read at once.
const JITTER: f64 = 0.05;

/// When the reads of one conference are due.
#[derive(Debug, Clone)]
pub struct Plan {
    periods: ReadPeriods,
    backoff: Backoff,
    /// Nothing is read before this time.
    not_before: Mono,
    listing: Mono,
    record: Mono,
    backfill: Mono,
    sweep: Mono,
    /// The participants still to be read in this sweep, and whether all of their sessions are.
    queue: VecDeque<(ParticipantName, bool)>,
    /// The last participant who was queued for a sweep.
    cursor: Option<ParticipantName>,
    /// How many times the sweep has gone through all participants.
    round: u32,
    /// How many listings failed in a row.
    failures: u32,
    /// Since when every listing was empty.
    empty_since: Option<Mono>,
    stays_empty: bool,
    /// Whether a listing waits for the record to be read.
    confirming: bool,
}

impl Plan {
    /// Creates a plan that begins with a listing.
    #[must_use]
    pub fn new(periods: ReadPeriods, backoff: Backoff, now: Mono) -> Self {
        Self {
            periods,
            backoff,
            not_before: now,
            listing: now,
            record: now + periods.record,
            backfill: now + periods.backfill,
            sweep: now + periods.sweep,
            queue: VecDeque::new(),
            cursor: None,
            round: 0,
            failures: 0,
            empty_since: None,
            stays_empty: false,
            confirming: false,
        }
    }

    /// Notes that the conference was empty for this long before a restart, so that it is listed rarely at once.
    pub fn was_empty_for(&mut self, empty: Duration) {
        self.stays_empty = empty >= STAYS_EMPTY_AFTER;
    }

    /// Changes the periods. A read that is now due earlier is moved. A longer period applies from the next read on.
    pub fn set_periods(&mut self, periods: ReadPeriods) {
        let sooner = |due: Mono, old: Duration, new: Duration| due.min(due.saturating_sub(old) + new);
        self.listing = sooner(self.listing, self.periods.listing, periods.listing);
        self.record = sooner(self.record, self.periods.record, periods.record);
        self.backfill = sooner(self.backfill, self.periods.backfill, periods.backfill);
        self.sweep = sooner(self.sweep, self.periods.sweep, periods.sweep);
        self.periods = periods;
    }

    /// Returns how often the conference is listed at present.
    #[must_use]
    pub fn interval(&self, stretch: &Stretch) -> Duration {
        let plain = self.periods.listing.mul_f64(stretch.listing);
        if self.stays_empty { plain.max(EMPTY_INTERVAL) } else { plain }
    }

    /// Returns the most urgent read that is due, or when the next one will be. `held` says until when a participant's
    /// recheck has to wait. While the conference is unobserved, only listings and records are read: nothing else ends the
    /// gap.
    #[must_use]
    pub fn next(
        &self,
        roster: &Roster,
        unobserved: bool,
        now: Mono,
        held: impl Fn(&ParticipantName) -> Option<Mono>,
    ) -> PlanStep {
        if now < self.not_before {
            return PlanStep::WaitUntil(self.not_before);
        }
        if self.confirming {
            return PlanStep::Read(Purpose::Record);
        }
        if self.listing <= now {
            return PlanStep::Read(Purpose::Listing);
        }
        let mut wake = self.listing.min(self.record);
        // A record or backfill that is late by a whole period goes before the rechecks, however many of those there are.
        let overdue = |due: Mono, period: Duration| due + period <= now;
        if overdue(self.record, self.periods.record) {
            return PlanStep::Read(Purpose::Record);
        }
        if !unobserved && overdue(self.backfill, self.periods.backfill) {
            return PlanStep::Read(Purpose::Backfill);
        }
        if !unobserved {
            let mut earliest: Option<(Mono, &ParticipantName)> = None;
            for (name, recheck) in roster.rechecks() {
                let due = recheck.due.max(held(name).unwrap_or_default());
                if earliest.is_none_or(|(other, _)| due < other) {
                    earliest = Some((due, name));
                }
            }
            match earliest {
                Some((due, name)) if due <= now => return PlanStep::Read(Purpose::Recheck(name.clone())),
                Some((due, _)) => wake = wake.min(due),
                None => {}
            }
        }
        if self.record <= now {
            return PlanStep::Read(Purpose::Record);
        }
        if !unobserved {
            if self.backfill <= now {
                return PlanStep::Read(Purpose::Backfill);
            }
            wake = wake.min(self.backfill);
            if let Some((participant, all)) = self.queue.front() {
                return PlanStep::Read(Purpose::Sweep { participant: participant.clone(), all: *all });
            }
            wake = wake.min(self.sweep);
        }
        PlanStep::WaitUntil(wake)
    }

    /// Queues the participants of the next sweep if it is due.
    pub fn queue_sweep(&mut self, roster: &Roster, stretch: &Stretch, now: Mono, random: &mut Random) {
        if now < self.sweep || !self.queue.is_empty() {
            return;
        }
        self.sweep = now + jittered(self.periods.sweep.mul_f64(stretch.sweep), JITTER, random);
        let batch = self.batch();
        let mut names: Vec<_> = roster.present_after(self.cursor.as_ref()).take(batch).cloned().collect();
        let all = self.round % FULL_SWEEP_EVERY == FULL_SWEEP_EVERY - 1;
        self.queue = names.iter().map(|name| (name.clone(), all)).collect();
        self.cursor = names.pop();
        if self.queue.len() < batch {
            // The end was reached: the sweep continues with the first participants, each at most once.
            self.round = self.round.wrapping_add(1);
            let all = self.round % FULL_SWEEP_EVERY == FULL_SWEEP_EVERY - 1;
            let room = batch - self.queue.len();
            let front: Vec<_> = roster
                .present_after(None)
                .take(room)
                .filter(|name| !self.queue.iter().any(|(other, _)| other == *name))
                .cloned()
                .collect();
            self.cursor = front.last().cloned().or(self.cursor.take());
            self.queue.extend(front.into_iter().map(|name| (name, all)));
        }
    }

    /// Returns how many participants one sweep reads. However often sweeps come, they are no more than [`SWEEP_BATCH`] a
    /// minute.
    fn batch(&self) -> usize {
        let share = (self.periods.sweep.as_secs_f64() / 60.0).min(1.0);
        // Between 0 and 12, rounded up to at least one.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 12")]
        let batch = (SWEEP_BATCH as f64 * share).ceil() as usize;
        batch.max(1)
    }

    /// Notes that a read succeeded, and sets when it is due again.
    pub fn done(&mut self, purpose: &Purpose, stretch: &Stretch, now: Mono, random: &mut Random) {
        match purpose {
            Purpose::Listing => {
                self.failures = 0;
                self.listing = now + jittered(self.interval(stretch), JITTER, random);
            }
            Purpose::Record => {
                self.confirming = false;
                self.record = now + jittered(self.periods.record, JITTER, random);
            }
            Purpose::Backfill => {
                self.backfill = now + jittered(self.periods.backfill.mul_f64(stretch.backfill), JITTER, random);
            }
            Purpose::Sweep { .. } => self.end_turn(),
            Purpose::Recheck(_) => {}
        }
    }

    /// Removes the current participant from the sweep. An empty queue gives its memory back.
    fn end_turn(&mut self) {
        self.queue.pop_front();
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }

    /// Notes that a read failed. It is due again after a back-off, and not before `asked`, which is how long Google wants
    /// us to wait.
    pub fn failed(&mut self, purpose: &Purpose, asked: Option<Duration>, now: Mono, random: &mut Random) {
        self.confirming &= *purpose != Purpose::Record;
        let wait =
            |failures: u32, random: &mut Random| self.backoff.delay(failures, random).max(asked.unwrap_or_default());
        match purpose {
            Purpose::Listing => {
                self.failures = self.failures.saturating_add(1);
                self.listing = now + wait(self.failures, random);
            }
            Purpose::Record => self.record = now + wait(3, random),
            Purpose::Backfill => self.backfill = now + wait(3, random),
            // The next sweep reads the participant again.
            Purpose::Sweep { .. } => self.end_turn(),
            Purpose::Recheck(_) => {}
        }
    }

    /// Notes whether a listing was empty. A conference that stays empty is listed less often, and when it has just become
    /// empty its record is read at once.
    pub fn listed(&mut self, nobody: bool, now: Mono) {
        if nobody && self.empty_since.is_none() {
            self.record = now;
        }
        self.empty_since = nobody.then(|| self.empty_since.unwrap_or(now));
        let long = |since: Mono| now.saturating_sub(since) >= STAYS_EMPTY_AFTER;
        self.stays_empty = self.empty_since.is_some_and(|since| self.stays_empty || long(since));
    }

    /// Reads nothing before `until`, because the last observation could not be stored.
    pub fn pause(&mut self, until: Mono) {
        self.not_before = self.not_before.max(until);
    }

    /// Reads the record next, because a listing counts only after that.
    pub fn confirm_by_record(&mut self, now: Mono) {
        self.confirming = true;
        self.record = self.record.min(now);
    }

    /// Returns whether no listing waits for the record.
    #[must_use]
    pub fn record_is_read(&self) -> bool {
        !self.confirming
    }

    /// Makes the record due now, because discovery no longer shows the conference.
    pub fn hurry_record(&mut self, now: Mono) {
        self.record = self.record.min(now);
    }
}
