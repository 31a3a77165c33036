//! Pure: when what is read of one conference.

use std::collections::VecDeque;
use std::time::Duration;

use super::roster::Roster;
use super::settings::SWEEP_BATCH;
use super::stretch::Stretch;
use crate::backoff::{Backoff, Random, jittered};
use crate::clock::Mono;
use crate::meet::Priority;
use crate::model::ParticipantName;

/// How often each kind of read is due, before the quota stretches it.
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
    /// All sessions of somebody whose sessions do not fit.
    Person(ParticipantName),
    /// The conference record.
    Record,
    /// Those who left since the last time.
    Backfill,
    /// Somebody's turn in the sweep: all sessions every fifth time, the open ones else.
    Sweep { participant: ParticipantName, all: bool },
}

impl Purpose {
    /// Who gets the next of a scarce quota.
    #[must_use]
    pub fn priority(&self) -> Priority {
        match self {
            Self::Listing => Priority::Listing,
            Self::Person(_) => Priority::Person,
            Self::Record => Priority::Record,
            Self::Backfill => Priority::Backfill,
            Self::Sweep { .. } => Priority::Sweep,
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanStep {
    Read(Purpose),
    WaitUntil(Mono),
}

/// A conference that was empty for so long stays empty, as far as anybody can tell: people often come one by one, and
/// a listing may lag.
const STAYS_EMPTY_AFTER: Duration = Duration::from_secs(120);
/// A conference that stays empty is listed so rarely.
const EMPTY_INTERVAL: Duration = Duration::from_secs(60);
/// Every so many sweeps of somebody read all of their sessions, not only the open ones.
const FULL_SWEEP_EVERY: u32 = 5;
/// Periods are spread by this share, so that conferences do not beat in time.
const JITTER: f64 = 0.05;

/// The due times of one conference.
#[derive(Debug, Clone)]
pub struct Plan {
    periods: ReadPeriods,
    backoff: Backoff,
    /// Nothing at all is read before.
    not_before: Mono,
    listing: Mono,
    record: Mono,
    backfill: Mono,
    sweep: Mono,
    /// Whose turn it is in the sweep that is going on.
    queue: VecDeque<(ParticipantName, bool)>,
    /// Who was asked last.
    cursor: Option<ParticipantName>,
    /// How many times the sweep has come round.
    round: u32,
    /// Failed listings in a row.
    failures: u32,
    /// Since when every listing showed nobody.
    empty_since: Option<Mono>,
    stays_empty: bool,
    /// Whether a listing waits for the record to be read.
    confirming: bool,
}

impl Plan {
    /// A plan that begins with a listing.
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

    /// Another process saw nobody for so long, and listed no more often than an empty conference is.
    pub fn was_empty_for(&mut self, empty: Duration) {
        self.stays_empty = empty >= STAYS_EMPTY_AFTER;
    }

    /// Another target, or the operator, may want it read more often: what is due is then due sooner. What is to be read
    /// less often is so from the next time on.
    pub fn set_periods(&mut self, periods: ReadPeriods) {
        let sooner = |due: Mono, old: Duration, new: Duration| due.min(due.saturating_sub(old) + new);
        self.listing = sooner(self.listing, self.periods.listing, periods.listing);
        self.record = sooner(self.record, self.periods.record, periods.record);
        self.backfill = sooner(self.backfill, self.periods.backfill, periods.backfill);
        self.sweep = sooner(self.sweep, self.periods.sweep, periods.sweep);
        self.periods = periods;
    }

    /// How often the conference is listed at present.
    #[must_use]
    pub fn interval(&self, stretch: &Stretch) -> Duration {
        let plain = self.periods.listing.mul_f64(stretch.listing);
        if self.stays_empty { plain.max(EMPTY_INTERVAL) } else { plain }
    }

    /// The most urgent read that is due, or when the next one will be. `held`: whose reading waits for something else,
    /// and until when. While nobody could look for long, only a listing (and the record) can bring sight back.
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
        // However many people have to be read, the rest has its turn.
        let overdue = |due: Mono, period: Duration| due + period <= now;
        if overdue(self.record, self.periods.record) {
            return PlanStep::Read(Purpose::Record);
        }
        if !unobserved && overdue(self.backfill, self.periods.backfill) {
            return PlanStep::Read(Purpose::Backfill);
        }
        if !unobserved {
            let mut earliest: Option<(Mono, &ParticipantName)> = None;
            for (name, rechecks) in roster.rechecks() {
                let due = rechecks.due.max(held(name).unwrap_or_default());
                if earliest.is_none_or(|(other, _)| due < other) {
                    earliest = Some((due, name));
                }
            }
            match earliest {
                Some((due, name)) if due <= now => return PlanStep::Read(Purpose::Person(name.clone())),
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

    /// Lines up whose turn it is when a sweep is due.
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
            // Once round: begin again with those at the front, each still at most once in this sweep.
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

    /// How many have their turn in one sweep: however often it comes round, no more than [`SWEEP_BATCH`] a minute.
    fn batch(&self) -> usize {
        let share = (self.periods.sweep.as_secs_f64() / 60.0).min(1.0);
        // Between 0 and 12, rounded up to at least one.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 12")]
        let batch = (SWEEP_BATCH as f64 * share).ceil() as usize;
        batch.max(1)
    }

    /// A read went well.
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
            Purpose::Person(_) => {}
        }
    }

    /// Somebody's turn in the sweep is over. Between sweeps the queue takes no memory.
    fn end_turn(&mut self) {
        self.queue.pop_front();
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }

    /// A read failed: the same is not tried again before a back-off, nor before Google allows it.
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
            // The next sweep asks again.
            Purpose::Sweep { .. } => self.end_turn(),
            Purpose::Person(_) => {}
        }
    }

    /// Takes note of how a listing came out: an empty conference is listed less often, and its record is read at once
    /// when it has just become empty.
    pub fn listed(&mut self, nobody: bool, now: Mono) {
        if nobody && self.empty_since.is_none() {
            self.record = now;
        }
        self.empty_since = nobody.then(|| self.empty_since.unwrap_or(now));
        let long = |since: Mono| now.saturating_sub(since) >= STAYS_EMPTY_AFTER;
        self.stays_empty = self.empty_since.is_some_and(|since| self.stays_empty || long(since));
    }

    /// Reads nothing before `until`: what was read last could not be kept.
    pub fn pause(&mut self, until: Mono) {
        self.not_before = self.not_before.max(until);
    }

    /// Reads the record next, because a listing counts only after that.
    pub fn confirm_by_record(&mut self, now: Mono) {
        self.confirming = true;
        self.record = self.record.min(now);
    }

    /// Whether no listing waits for the record.
    #[must_use]
    pub fn record_is_read(&self) -> bool {
        !self.confirming
    }

    /// Reads the record as soon as possible: discovery no longer shows the conference.
    pub fn hurry_record(&mut self, now: Mono) {
        self.record = self.record.min(now);
    }
}
