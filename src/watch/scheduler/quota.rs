//! Spends the budgets: reads are made when they can be paid for, the latest first; and plans how much has to be given up.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{REPLAN_EVERY, Scheduler, SchedulerCommand, WorkKey};
use crate::clock::{Mono, Now};
use crate::meet::{Priority, Read, ReadError, Reading};
use crate::model::IdentityName;
use crate::watch::settings::{PARTICIPANTS_A_PAGE, SWEEP_BATCH, TargetSelector};
use crate::watch::stretch::{Demand, Stretch};

/// The weight of the last seconds in the average of what changes need.
const NEWEST: f64 = 0.15;

impl Scheduler {
    /// Makes the reads that can be paid for, the latest first.
    pub(super) fn read_what_is_affordable(&mut self, now: Now, commands: &mut Vec<SchedulerCommand>) {
        while let Some(key) = self.waiting.take_latest(&mut self.budgets, now.mono) {
            match key {
                WorkKey::Conference(name) => self.read_conference(&name, now, commands),
                WorkKey::Target(name) => self.read_target(&name, now, commands),
                // Look-ups have a quota of their own.
                WorkKey::Lookup(_) => {}
            }
        }
    }

    /// Makes a read and charges it.
    #[expect(clippy::too_many_arguments, reason = "the parts of one command")]
    pub(super) fn issue(
        &mut self,
        key: WorkKey,
        identity: IdentityName,
        priority: Priority,
        read: Read,
        requests: u32,
        now: Mono,
        commands: &mut Vec<SchedulerCommand>,
    ) {
        self.budgets.charge(&identity, requests, now);
        if matches!(priority, Priority::Person | Priority::Closing) {
            *self.changes.entry(identity.clone()).or_default() += f64::from(requests);
        }
        self.charged.insert(key.clone(), (identity.clone(), requests));
        commands.push(SchedulerCommand::Read { key, identity, priority, read });
    }

    /// Settles a read with the requests that it took.
    pub(super) fn settle(&mut self, key: &WorkKey, result: &Result<Reading, ReadError>, now: Mono) {
        let Some((identity, charged)) = self.charged.remove(key) else { return };
        let (took, used_up, asked) = match result {
            Ok(reading) => (reading.requests, reading.used_up, None),
            Err(error) => (error.requests, error.used_up, error.retry_after),
        };
        self.budgets.settle(&identity, charged, took, now);
        if let Some(scope) = used_up {
            self.budgets.refused(&identity, scope, asked, now);
        }
    }

    /// Computes by how much the reads of each identity are stretched.
    pub(super) fn replan(&mut self, now: Mono) {
        self.budgets.regain(now);
        let mut demands: BTreeMap<&IdentityName, Demand> = BTreeMap::new();
        for target in self.targets.values() {
            let asked = if matches!(target.settings.selector, TargetSelector::Conference(_)) { 0.0 } else { 1.0 };
            demands.entry(&target.settings.identity).or_default().discovery +=
                per_minute(self.setup.settings.discovery) + asked;
        }
        for watched in self.conferences.values().filter(|watched| watched.is_live()) {
            let (Some(identity), Some(roster)) = (watched.identity(), watched.roster()) else { continue };
            let demand = demands.entry(identity).or_default();
            demand.listing +=
                per_minute(watched.periods().listing) * number(roster.expected() / PARTICIPANTS_A_PAGE + 1);
            demand.backfill += per_minute(self.setup.settings.backfill);
            demand.sweep +=
                per_minute(self.setup.settings.session_sweep) * f64::from(roster.present()).min(number(SWEEP_BATCH));
            demand.record += per_minute(self.setup.settings.discovery);
        }
        let mut changes = std::mem::take(&mut self.changes);
        for identity in &self.setup.identities {
            let a_minute = changes.remove(&identity.name).unwrap_or_default() * 60.0 / REPLAN_EVERY.as_secs_f64();
            let average = self.needed_by_changes.entry(identity.name.clone()).or_default();
            *average += NEWEST * (a_minute - *average);
            demands.entry(&identity.name).or_default().changes = *average;
        }
        let everyone: f64 = demands.values().map(Demand::total).sum();
        let project = self.budgets.project_per_minute();
        let mut stretches = BTreeMap::new();
        for identity in &self.setup.identities {
            let demand = demands.get(&identity.name).copied().unwrap_or_default();
            // The project's budget is shared among the identities in proportion to their planned reads.
            let share = if everyone > 0.0 { project * demand.total() / everyone } else { project };
            let stretch = Stretch::fit(demand, self.budgets.per_minute(&identity.name).min(share));
            self.metrics.stretched(&identity.name, stretch);
            stretches.insert(identity.name.clone(), stretch);
        }
        self.stretches = stretches;
    }
}

/// Returns a number of people as one of reads.
#[expect(clippy::cast_precision_loss, reason = "a number of people is small")]
const fn number(people: usize) -> f64 {
    people as f64
}

fn per_minute(period: Duration) -> f64 {
    60.0 / period.as_secs_f64().max(1.0)
}
