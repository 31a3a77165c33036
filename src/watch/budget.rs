//! Pure: how many reads may be made now. Google counts reads a minute by project and by user, so there is a budget for all
//! identities together and one for each.
//!
//! A read is charged when it is issued, with the requests that it is expected to take, and settled when its answer shows how
//! many it took: a read that never left costs nothing, and one that took more pages or retries is paid for by the next ones.
//! If Google says that a quota is used up although the budget is not, others spend it too: the budget falls and rises again
//! while Google is content.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Mono;
use crate::meet::QuotaScope;
use crate::model::IdentityName;
use crate::quota_bucket::QuotaBucket;

/// The budget after Google refused a read for want of quota, as a share of the one before, and at least of the limit.
const STEP_DOWN: f64 = 0.7;
const LEAST_SHARE: f64 = 0.1;

/// Refusals within this time count once: they are of reads that were issued together.
const ONE_REFUSAL: Duration = Duration::from_secs(10);

/// The share of the limit that comes back in a minute without a refusal.
const REGAINED_IN_A_MINUTE: f64 = 0.1;

/// The budgets of a project and its identities.
#[derive(Debug)]
pub struct Budgets {
    project: ReadBudget,
    identities: BTreeMap<IdentityName, ReadBudget>,
}

#[derive(Debug)]
struct ReadBudget {
    /// The configured limit, in reads a minute.
    limit: f64,
    /// The share of the limit that Google lets us spend at present.
    share: f64,
    bucket: QuotaBucket,
    refused_at: Option<Mono>,
    regained_at: Mono,
}

impl ReadBudget {
    fn new(limit: f64, now: Mono) -> Self {
        Self { limit, share: 1.0, bucket: QuotaBucket::new(limit, now), refused_at: None, regained_at: now }
    }

    fn set_limit(&mut self, limit: f64, now: Mono) {
        self.limit = limit;
        self.bucket.set_limit(limit * self.share, now);
    }

    fn settle(&mut self, charged: u32, took: u32, now: Mono) {
        if took < charged {
            self.bucket.give_back(charged - took, now);
        } else {
            self.bucket.spend(took - charged, now);
        }
    }

    fn refused(&mut self, asked: Option<Duration>, now: Mono) {
        if let Some(asked) = asked {
            self.bucket.pause(asked, now);
        }
        if self.refused_at.is_none_or(|at| now.saturating_sub(at) >= ONE_REFUSAL) {
            self.share = (self.share * STEP_DOWN).max(LEAST_SHARE);
            self.bucket.set_limit(self.limit * self.share, now);
            (self.refused_at, self.regained_at) = (Some(now), now);
        }
    }

    fn regain(&mut self, now: Mono) {
        let minutes = now.saturating_sub(self.regained_at).as_secs_f64() / 60.0;
        self.regained_at = now;
        if self.share < 1.0 {
            self.share = (self.share + REGAINED_IN_A_MINUTE * minutes).min(1.0);
            self.bucket.set_limit(self.limit * self.share, now);
        }
    }
}

impl Budgets {
    /// Creates full budgets of so many reads a minute: of the project, and of each identity.
    #[must_use]
    pub fn new<'a>(project: f64, identities: impl IntoIterator<Item = (&'a IdentityName, f64)>, now: Mono) -> Self {
        let identities = identities.into_iter().map(|(name, limit)| (name.clone(), ReadBudget::new(limit, now)));
        Self { project: ReadBudget::new(project, now), identities: identities.collect() }
    }

    /// Takes over other limits. What was spent stays spent. `renamed`: the name before, and the name now.
    pub fn reconfigure<'a>(
        &mut self,
        project: f64,
        identities: impl IntoIterator<Item = (&'a IdentityName, f64)>,
        renamed: &BTreeMap<IdentityName, IdentityName>,
        now: Mono,
    ) {
        self.project.set_limit(project, now);
        let before = std::mem::take(&mut self.identities);
        let mut known: BTreeMap<_, _> =
            before.into_iter().map(|(name, budget)| (renamed.get(&name).cloned().unwrap_or(name), budget)).collect();
        for (name, limit) in identities {
            let mut budget = known.remove(name).unwrap_or_else(|| ReadBudget::new(limit, now));
            budget.set_limit(limit, now);
            self.identities.insert(name.clone(), budget);
        }
    }

    /// Returns how long it takes until a read can be paid for, if nothing is read meanwhile. Zero if it can be now. One
    /// request has to be affordable: a list of many pages runs into debt, or it would wait for ever behind single requests.
    pub fn wait(&mut self, identity: &IdentityName, now: Mono) -> Duration {
        let own = self.identities.get_mut(identity).map_or(Duration::ZERO, |budget| budget.bucket.wait_for(1, now));
        own.max(self.project_wait(now))
    }

    /// Returns how long it takes until the project can pay for a read.
    pub fn project_wait(&mut self, now: Mono) -> Duration {
        self.project.bucket.wait_for(1, now)
    }

    /// Pays for a read that is issued.
    pub fn charge(&mut self, identity: &IdentityName, requests: u32, now: Mono) {
        self.project.bucket.spend(requests, now);
        if let Some(budget) = self.identities.get_mut(identity) {
            budget.bucket.spend(requests, now);
        }
    }

    /// Settles a read that was charged with `charged` requests and took `took`.
    pub fn settle(&mut self, identity: &IdentityName, charged: u32, took: u32, now: Mono) {
        self.project.settle(charged, took, now);
        if let Some(budget) = self.identities.get_mut(identity) {
            budget.settle(charged, took, now);
        }
    }

    /// Notes that Google refused a read because a quota was used up. `asked`: how long it asked to wait.
    pub fn refused(&mut self, identity: &IdentityName, scope: QuotaScope, asked: Option<Duration>, now: Mono) {
        match scope {
            QuotaScope::Project => self.project.refused(asked, now),
            QuotaScope::User => {
                if let Some(budget) = self.identities.get_mut(identity) {
                    budget.refused(asked, now);
                }
            }
        }
    }

    /// Raises budgets again that were lowered. Call it every few seconds.
    pub fn regain(&mut self, now: Mono) {
        self.project.regain(now);
        self.identities.values_mut().for_each(|budget| budget.regain(now));
    }

    /// Returns how many reads a minute the project can sustain.
    #[must_use]
    pub fn project_per_minute(&self) -> f64 {
        self.project.bucket.per_minute()
    }

    /// Returns how many reads a minute an identity can sustain if no other one reads; zero for one that is not configured.
    #[must_use]
    pub fn per_minute(&self, identity: &IdentityName) -> f64 {
        let own = self.identities.get(identity).map_or(0.0, |budget| budget.bucket.per_minute());
        own.min(self.project_per_minute())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn identity(name: &str) -> IdentityName {
        IdentityName::parse(name).unwrap()
    }

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn budgets(project: f64, own: f64) -> Budgets {
        Budgets::new(project, [(&identity("ada"), own), (&identity("bo"), own)], Mono::ZERO)
    }

    /// Reads for an hour as much as the budgets allow. Returns the times.
    fn greedy(budgets: &mut Budgets, identities: &[IdentityName]) -> Vec<Vec<Mono>> {
        let mut times = vec![Vec::new(); identities.len()];
        for tick in 0..36_000_u64 {
            let now = Duration::from_millis(tick * 100);
            for (number, identity) in identities.iter().enumerate() {
                while budgets.wait(identity, now).is_zero() {
                    budgets.charge(identity, 1, now);
                    times[number].push(now);
                }
            }
        }
        times
    }

    fn fullest_minute(times: &[Mono]) -> usize {
        let within = |from: usize| times[from..].iter().take_while(|time| **time < times[from] + seconds(60.0)).count();
        (0..times.len()).map(within).max().unwrap_or(0)
    }

    #[test]
    fn no_minute_exceeds_a_budget_and_nearly_all_of_it_is_used_when_there_is_demand() {
        let mut budgets = budgets(600.0, 480.0);
        let times = greedy(&mut budgets, &[identity("ada"), identity("bo")]);
        let mut all: Vec<_> = times.concat();
        all.sort();
        assert!(fullest_minute(&times[0]) <= 480 && fullest_minute(&all) <= 600);
        assert!(all.len() >= 60 * 600 * 95 / 100, "{}", all.len());
    }

    proptest! {
        #[test]
        fn no_minute_exceeds_the_budgets_whatever_they_are(project in 5_u32..300, own in 5_u32..300) {
            let mut budgets = budgets(f64::from(project), f64::from(own));
            let times = greedy(&mut budgets, &[identity("ada"), identity("bo")]);
            let mut all: Vec<_> = times.concat();
            all.sort();
            prop_assert!(fullest_minute(&times[0]) <= own as usize);
            prop_assert!(fullest_minute(&all) <= project as usize);
        }
    }

    #[test]
    fn a_read_that_never_left_costs_nothing_and_one_that_took_more_is_paid_for() {
        let ada = identity("ada");
        let mut budgets = budgets(6000.0, 50.0);
        budgets.charge(&ada, 2, Mono::ZERO);
        assert!(!budgets.wait(&ada, Mono::ZERO).is_zero());
        budgets.settle(&ada, 2, 0, Mono::ZERO);
        assert!(budgets.wait(&ada, Mono::ZERO).is_zero());
        budgets.settle(&ada, 1, 10, Mono::ZERO);
        assert!(budgets.wait(&ada, Mono::ZERO) >= seconds(9.0));
    }

    #[test]
    fn a_list_of_many_pages_is_read_and_paid_for_afterwards() {
        let ada = identity("ada");
        let mut budgets = budgets(6000.0, 10.0);
        assert!(budgets.wait(&ada, Mono::ZERO).is_zero());
        budgets.charge(&ada, 40, Mono::ZERO);
        let wait = budgets.wait(&ada, Mono::ZERO);
        assert!(wait > seconds(200.0) && wait < seconds(300.0), "{wait:?}");
    }

    #[test]
    fn a_budget_falls_when_google_refuses_and_rises_again() {
        let ada = identity("ada");
        let mut budgets = budgets(6000.0, 480.0);
        let before = budgets.per_minute(&ada);
        for _ in 0..5 {
            budgets.refused(&ada, QuotaScope::User, Some(seconds(3.0)), seconds(10.0));
        }
        assert!(budgets.wait(&ada, seconds(10.0)) >= seconds(3.0));
        assert!((budgets.per_minute(&ada) / before - STEP_DOWN).abs() < 1e-9, "refusals at one time count once");
        assert!((budgets.per_minute(&identity("bo")) - before).abs() < 1e-9);
        for minute in 1..=3 {
            budgets.regain(seconds(10.0 + 60.0 * f64::from(minute)));
        }
        assert!((budgets.per_minute(&ada) - before).abs() < 1e-9);
        (0..100).for_each(|n| budgets.refused(&ada, QuotaScope::User, None, seconds(1000.0 + 20.0 * f64::from(n))));
        assert!((budgets.per_minute(&ada) / before - LEAST_SHARE).abs() < 1e-9, "it never stops for good");
    }

    #[test]
    fn other_limits_give_nothing_back_and_follow_a_rename() {
        let (ada, cy) = (identity("ada"), identity("cy"));
        let mut budgets = budgets(6000.0, 480.0);
        while budgets.wait(&ada, Mono::ZERO).is_zero() {
            budgets.charge(&ada, 1, Mono::ZERO);
        }
        let renamed = BTreeMap::from([(ada, cy.clone())]);
        budgets.reconfigure(6000.0, [(&cy, 240.0)], &renamed, Mono::ZERO);
        assert!(!budgets.wait(&cy, Mono::ZERO).is_zero());
        assert!(budgets.per_minute(&cy) <= 240.0);
    }
}
