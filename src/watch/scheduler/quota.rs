//! Compares the planned reads with the quota.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Scheduler;
use crate::model::IdentityName;
use crate::watch::settings::{SWEEP_BATCH, TargetSelector};
use crate::watch::stretch::{Demand, Stretch};

impl Scheduler {
    /// Computes by how much the reads of each identity are stretched.
    pub(super) fn replan(&mut self) {
        let mut demands: BTreeMap<&IdentityName, Demand> = BTreeMap::new();
        for target in self.targets.values() {
            let asked = if matches!(target.settings.selector, TargetSelector::Conference(_)) { 0.0 } else { 1.0 };
            demands.entry(&target.settings.identity).or_default().fixed +=
                per_minute(self.setup.settings.discovery) + asked;
        }
        for watched in self.conferences.values().filter(|watched| watched.is_live()) {
            let (Some(identity), Some(roster)) = (watched.identity(), watched.roster()) else { continue };
            let demand = demands.entry(identity).or_default();
            demand.listing += per_minute(watched.periods().listing) * f64::from(roster.present() / PAGE + 1);
            demand.backfill += per_minute(self.setup.settings.backfill);
            demand.sweep +=
                per_minute(self.setup.settings.session_sweep) * f64::from(roster.present().min(SWEEP_PEOPLE));
            demand.fixed += per_minute(self.setup.settings.discovery);
        }
        let everyone: f64 =
            demands.values().map(|demand| demand.listing + demand.backfill + demand.sweep + demand.fixed).sum();
        let mut stretches = BTreeMap::new();
        for identity in &self.setup.identities {
            let demand = demands.get(&identity.name).copied().unwrap_or_default();
            let own = demand.listing + demand.backfill + demand.sweep + demand.fixed;
            // The project's budget is shared among the identities in proportion to their planned reads.
            let share =
                if everyone > 0.0 { self.setup.project_budget * own / everyone } else { self.setup.project_budget };
            let stretch = Stretch::fit(demand, identity.budget.min(share));
            self.metrics.stretched(&identity.name, stretch);
            stretches.insert(identity.name.clone(), stretch);
        }
        self.stretches = stretches;
    }
}

/// The participants on one page of a listing.
const PAGE: u32 = 250;
/// [`SWEEP_BATCH`] as a number of people.
#[expect(clippy::cast_possible_truncation, reason = "12 fits")]
const SWEEP_PEOPLE: u32 = SWEEP_BATCH as u32;

fn per_minute(period: Duration) -> f64 {
    60.0 / period.as_secs_f64().max(1.0)
}
