//! The schedule: which read or commit is due, for everything that is watched.
//!
//! It is a step function. [`Scheduler::step`] takes what happened and returns what to do; [`Scheduler::next_wake`] says
//! when to call it without an input. It has no socket, no sleep and no clock, so that simulated histories run through it.
//!
//! Work has keys: a conference, a target or the look-ups of an identity. Each key has at most one thing under way, so that
//! nothing is read twice at once and a slow one does not hold up another. `targets`, `conferences` and `lookups` do the
//! work of the three kinds of key; `quota` compares the planned reads with the budget; `reconfigure` applies another
//! configuration.

mod conferences;
mod lookups;
mod outage;
mod outcome;
mod quota;
mod reconfigure;
mod setup;
mod step;
mod targets;
#[cfg(test)]
mod tests;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::budget::Budgets;
use super::clock_skew::ClockSkew;
use super::conference::WatchedConference;
use super::lookup::Lookup;
use super::metrics::WatchMetrics;
use super::plan::ReadPeriods;
use super::settings::WatchSettings;
use super::stretch::Stretch;
use super::target::Target;
use crate::backoff::{Backoff, Random};
use crate::clock::{Mono, Now};
use crate::meet::{ReadError, Reading, Reason, UnreadableField, UnreadableFields};
use crate::model::{ConferenceName, IdentityName, MeetingCode, SpaceName, TargetName};
use crate::status::StatusBoard;
use crate::store::StoredConference;
use outage::Outages;
pub use setup::{Memory, Revision, Setup, WatchIdentity};
pub use step::{SchedulerCommand, SchedulerInput, WorkKey};
use waiting::WaitingReads;

/// After this time no target shows a closed conference any more: Google deletes the record 30 days after the end.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(40 * 24 * 3600);
/// The most meeting codes that are kept.
const MAX_CODES: usize = 10_000;
/// How often the planned reads are compared with the quota.
const REPLAN_EVERY: Duration = Duration::from_secs(10);

/// Everything that is watched.
#[derive(Debug)]
pub struct Scheduler {
    setup: Setup,
    targets: BTreeMap<TargetName, Target>,
    target_reads: BTreeSet<TargetName>,
    /// The keys whose answer is discarded, because the target or look-up has changed since the read began.
    discarded: BTreeSet<WorkKey>,
    conferences: BTreeMap<ConferenceName, WatchedConference>,
    /// The conferences of which nothing is emitted any more, and since when.
    finished: BTreeMap<ConferenceName, Mono>,
    /// The failure of each key that was logged last, and when.
    logged_failures: BTreeMap<WorkKey, (Reason, Mono)>,
    outages: Outages,
    /// The fields that could not be read and were logged, by key.
    logged_unreadable: BTreeMap<WorkKey, BTreeSet<UnreadableField>>,
    lookups: BTreeMap<IdentityName, Lookup>,
    no_lookup: Lookup,
    codes: BTreeMap<SpaceName, MeetingCode>,
    stretches: BTreeMap<IdentityName, Stretch>,
    budgets: Budgets,
    waiting: WaitingReads,
    /// When the next of them can be paid for.
    payable_at: Option<Mono>,
    /// The reads under way: their identities, and the requests that they were charged with.
    charged: BTreeMap<WorkKey, (IdentityName, u32)>,
    /// The requests of each identity since the last plan that changes needed.
    changes: BTreeMap<IdentityName, f64>,
    /// The same a minute, averaged.
    needed_by_changes: BTreeMap<IdentityName, f64>,
    replan_due: Mono,
    due: BTreeSet<(Mono, WorkKey)>,
    due_of: BTreeMap<WorkKey, Mono>,
    clock_skew: ClockSkew,
    /// Our clock is in doubt, and that was logged.
    clock_doubted: bool,
    backoff: Backoff,
    random: Random,
    metrics: WatchMetrics,
    board: StatusBoard,
}

impl Scheduler {
    /// Creates a schedule that continues from the store.
    #[must_use]
    pub fn new(
        setup: Setup,
        memory: Memory,
        backoff: Backoff,
        random: Random,
        metrics: WatchMetrics,
        board: StatusBoard,
        now: Now,
    ) -> Self {
        let mut rows: BTreeMap<_, _> = memory.targets.into_iter().map(|row| (row.name.clone(), row)).collect();
        let wait = setup.settings.lookup_wait;
        let looking = setup.identities.iter().filter(|identity| identity.looks_up);
        let lookups = looking
            .map(|identity| (identity.name.clone(), Lookup::new(setup.internal_domains.clone(), wait)))
            .collect();
        let mut scheduler = Self {
            targets: BTreeMap::new(),
            target_reads: BTreeSet::new(),
            discarded: BTreeSet::new(),
            conferences: BTreeMap::new(),
            finished: memory.finished.into_iter().map(|name| (name, now.mono)).collect(),
            logged_failures: BTreeMap::new(),
            outages: Outages::default(),
            logged_unreadable: BTreeMap::new(),
            lookups,
            no_lookup: Lookup::new(Vec::new(), wait),
            codes: BTreeMap::new(),
            stretches: BTreeMap::new(),
            budgets: Budgets::new(setup.project_budget, setup.limits(), now.mono),
            waiting: WaitingReads::default(),
            payable_at: None,
            charged: BTreeMap::new(),
            changes: BTreeMap::new(),
            needed_by_changes: BTreeMap::new(),
            replan_due: now.mono,
            due: BTreeSet::new(),
            due_of: BTreeMap::new(),
            clock_skew: ClockSkew::default(),
            clock_doubted: false,
            backoff,
            random,
            metrics,
            board,
            setup,
        };
        scheduler.board.write().configured_targets = scheduler.setup.targets.len();
        for settings in scheduler.setup.targets.clone() {
            let target = Target::new(settings.clone(), rows.remove(&settings.name), backoff, now.mono, now.wall);
            scheduler.targets.insert(settings.name.clone(), target);
            scheduler.wake_at(WorkKey::Target(settings.name), now.mono);
        }
        for stored in memory.conferences {
            scheduler.restore(stored, now);
        }
        scheduler
    }

    fn restore(&mut self, stored: StoredConference, now: Now) {
        let name = stored.conference.name.clone();
        let reached = stored.conference.targets.clone();
        if let (Some(space), Some(code)) = (&stored.conference.space, &stored.conference.meeting_code) {
            self.codes.insert(space.clone(), code.clone());
        }
        let interval = reached
            .iter()
            .filter_map(|target| self.targets.get(target))
            .map(|target| target.settings.poll_interval)
            .min();
        let periods = self.periods(interval.unwrap_or(DEFAULT_INTERVAL));
        let mut watched = WatchedConference::restored(stored, periods, self.backoff, &self.setup.settings, now);
        for target in reached.iter().filter_map(|target| self.targets.get(target)) {
            watched.reached_by(target);
        }
        watched.keep_identities(|reader| self.setup.identities.iter().any(|identity| identity.name == *reader));
        self.conferences.insert(name.clone(), watched);
        self.wake_at(WorkKey::Conference(name), now.mono);
    }

    /// Takes in what happened and returns what to do.
    pub fn step(&mut self, now: Now, input: SchedulerInput) -> Vec<SchedulerCommand> {
        let mut commands = Vec::new();
        match input {
            SchedulerInput::Tick => {}
            SchedulerInput::Answered(key, result) => self.answered(key, result, now, &mut commands),
            SchedulerInput::Committed(key, succeeded) => self.committed(key, succeeded, now, &mut commands),
            SchedulerInput::Contradicted(key, stored) => self.contradicted(key, stored.map(|stored| *stored), now),
            SchedulerInput::Reconfigured(revision) => self.reconfigure(*revision, now),
        }
        if self.replan_due <= now.mono {
            self.replan_due = now.mono + REPLAN_EVERY;
            self.replan(now.mono);
            self.forget_what_is_over(now.mono);
        }
        while let Some((_, key)) = self.due.first().filter(|(at, _)| *at <= now.mono).cloned() {
            self.sleep(&key);
            self.advance(key, now, &mut commands);
        }
        self.read_what_is_affordable(now, &mut commands);
        self.payable_at = self.waiting.payable_at(&mut self.budgets, now.mono);
        commands
    }

    /// Returns when to step next if nothing happens before.
    #[must_use]
    pub fn next_wake(&self) -> Option<Mono> {
        self.due.first().map(|(at, _)| *at).into_iter().chain(self.payable_at).min()
    }

    /// Returns the conferences that are watched.
    #[must_use]
    pub fn conferences(&self) -> &BTreeMap<ConferenceName, WatchedConference> {
        &self.conferences
    }

    fn advance(&mut self, key: WorkKey, now: Now, commands: &mut Vec<SchedulerCommand>) {
        match key {
            WorkKey::Target(name) => self.ask_target(&name, now),
            WorkKey::Conference(name) => self.advance_conference(&name, now, commands),
            WorkKey::Lookup(identity) => self.ask_lookup(&identity, now, commands),
        }
    }

    fn answered(
        &mut self,
        key: WorkKey,
        result: Result<Reading, ReadError>,
        now: Now,
        commands: &mut Vec<SchedulerCommand>,
    ) {
        if let Some(google) = result.as_ref().ok().and_then(|reading| reading.google_time) {
            self.clock_skew.note(google, now);
            self.show_clock_offset();
        }
        self.settle(&key, &result, now.mono);
        if self.discarded.remove(&key) {
            return self.ask_again(key, now.mono);
        }
        self.log_outcome(&key, result.as_ref().err(), now.mono);
        if let Ok(reading) = &result {
            self.log_unreadable(&key, &reading.unreadable);
        }
        match key {
            WorkKey::Target(name) => self.target_answered(&name, result, now, commands),
            WorkKey::Conference(name) => {
                if let Err(error) = &result {
                    self.metrics.poll_failed(error.reason);
                }
                self.with_conference(&name, false, now, commands, |watched, context, moment, random| {
                    watched.answered(result, context, moment, random)
                });
            }
            WorkKey::Lookup(identity) => self.lookup_answered(identity, result, now),
        }
    }

    /// Shows how far our clock is from Google's, and logs once when it is so far off that it is in doubt.
    fn show_clock_offset(&mut self) {
        let offset = self.clock_skew.offset();
        self.metrics.clock_offset.set(offset.as_secs_f64());
        self.board.write().clock_offset_seconds = Some(offset.as_secs());
        let is_doubted = self.clock_skew.is_in_doubt();
        if is_doubted == self.clock_doubted {
            return;
        }
        self.clock_doubted = is_doubted;
        if is_doubted {
            tracing::error!(
                seconds = offset.as_secs(),
                "this machine's clock is more than a day off Google's; events and gaps are timed by Google's clock; set this machine's clock, because deliveries and retention go by it"
            );
        } else {
            tracing::info!(seconds = offset.as_secs(), "this machine's clock is within a day of Google's again");
        }
    }

    /// Logs each field that could not be read, once for each key. Later ones are only counted.
    fn log_unreadable(&mut self, key: &WorkKey, unreadable: &UnreadableFields) {
        for (field, items) in unreadable.iter() {
            if self.logged_unreadable.entry(key.clone()).or_default().insert(field) {
                tracing::warn!(of = %key, field = field.as_str(), items,
                    "a field in Google's answer cannot be read; the rest is used, and nothing is inferred from what is missing; see the runbook");
            }
        }
    }

    /// Forgets conferences that Google has deleted, and codes that are cheaper to read again than to keep.
    fn forget_what_is_over(&mut self, now: Mono) {
        self.finished.retain(|_, since| now.saturating_sub(*since) < FORGOTTEN_AFTER);
        if self.codes.len() > MAX_CODES {
            self.codes.clear();
        }
    }

    fn periods(&self, listing: Duration) -> ReadPeriods {
        let WatchSettings { session_sweep, backfill, discovery, .. } = self.setup.settings;
        ReadPeriods { listing, sweep: session_sweep, backfill, record: discovery }
    }

    fn wake_at(&mut self, key: WorkKey, at: Mono) {
        if let Some(before) = self.due_of.get(&key).copied() {
            if before <= at {
                return;
            }
            self.due.remove(&(before, key.clone()));
        }
        self.due_of.insert(key.clone(), at);
        self.due.insert((at, key));
    }

    fn sleep(&mut self, key: &WorkKey) {
        if let Some(at) = self.due_of.remove(key) {
            self.due.remove(&(at, key.clone()));
        }
    }
}

/// How often a conference is listed that no configured target covers any more.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
