//! Applies another configuration between two steps. Nothing that is under way is lost, and nothing that was learnt is
//! forgotten.
//!
//! The result is the state that a restart with the new configuration would lead to, without the gap.

use std::collections::{BTreeMap, BTreeSet};

use super::waiting::WaitingReads;
use super::{DEFAULT_INTERVAL, Revision, Scheduler, Setup, WorkKey};
use crate::clock::{Mono, Now};
use crate::model::{ConferenceName, IdentityName, TargetName};
use crate::store::TargetRow;
use crate::watch::conference::ConfigDifference;
use crate::watch::lookup::Lookup;
use crate::watch::settings::TargetSettings;
use crate::watch::target::Target;

impl Scheduler {
    pub(super) fn reconfigure(&mut self, revision: Revision, now: Now) {
        let Revision { setup, remembered, replaced, renamed } = revision;
        for target in self.targets.values_mut() {
            if let Some(name) = renamed.get(&target.settings.identity) {
                target.settings.identity = name.clone();
            }
        }
        for watched in self.conferences.values_mut() {
            watched.rename_identities(&renamed);
        }
        let before = std::mem::replace(&mut self.setup, setup);
        self.budgets.reconfigure(self.setup.project_budget, self.setup.limits(), &renamed, now.mono);
        self.waiting = WaitingReads::default();
        self.board.write().configured_targets = self.setup.targets.len();
        let continued = self.take_over_targets(remembered, &replaced, now);
        self.take_over_lookups(&before, now.mono);
        self.take_over_conferences(&continued, &replaced, now);
        let identities = self.setup.identities.iter().map(|identity| &identity.name).collect::<BTreeSet<_>>();
        for gone in before.identities.iter().filter(|identity| !identities.contains(&identity.name)) {
            self.metrics.forget_stretch(&gone.name);
            self.needed_by_changes.remove(&gone.name);
        }
        self.outages.keep_identities(|name| self.setup.identities.iter().any(|identity| identity.name == *name));
        self.replan_due = now.mono;
    }

    /// Applies the new targets. Returns, for each target that continues, its name before and its name now.
    fn take_over_targets(
        &mut self,
        remembered: Vec<TargetRow>,
        replaced: &BTreeSet<IdentityName>,
        now: Now,
    ) -> BTreeMap<TargetName, TargetName> {
        let mut rows: BTreeMap<_, _> = remembered.into_iter().map(|row| (row.name.clone(), row)).collect();
        let mut before = std::mem::take(&mut self.targets);
        let mut continued = BTreeMap::new();
        let settings = self.setup.targets.clone();
        // Targets that keep their names are handled first, so that no other target takes over their state.
        let (kept, others): (Vec<_>, Vec<_>) = settings
            .into_iter()
            .partition(|settings| before.get(&settings.name).is_some_and(|target| target.is_continued_by(settings)));
        for settings in kept.into_iter().chain(others) {
            let name = settings.name.clone();
            let target = match predecessor(&before, &settings).and_then(|old| before.remove_entry(&old)) {
                Some((old, mut target)) => {
                    let heard = old == name
                        && target.settings.identity == settings.identity
                        && !replaced.contains(&settings.identity);
                    if !heard {
                        self.discard_answer(&old);
                    }
                    target.go_on_as(settings, now.mono);
                    continued.insert(old, name.clone());
                    target
                }
                None => Target::added(settings, rows.remove(&name), self.backoff, now),
            };
            self.targets.insert(name.clone(), target);
            self.wake_at(WorkKey::Target(name), now.mono);
        }
        for gone in before.keys() {
            self.discard_answer(gone);
            self.logged_failures.remove(&WorkKey::Target(gone.clone()));
            // Another target may have its name now.
            if !self.targets.contains_key(gone) {
                self.sleep(&WorkKey::Target(gone.clone()));
            }
        }
        self.board.write().targets.retain(|name, _| self.targets.contains_key(name));
        continued
    }

    /// Discards the answer that a target waits for.
    fn discard_answer(&mut self, target: &TargetName) {
        if self.target_reads.contains(target) {
            self.discarded.insert(WorkKey::Target(target.clone()));
        }
    }

    /// Notes that a discarded answer came, so that the key can be asked again.
    pub(super) fn ask_again(&mut self, key: WorkKey, now: Mono) {
        if let WorkKey::Target(name) = &key {
            self.target_reads.remove(name);
        }
        self.wake_at(key, now);
    }

    /// Applies the new look-up settings. What was looked up stays known, unless the internal domains changed.
    fn take_over_lookups(&mut self, before: &Setup, now: Mono) {
        let (domains, wait) = (self.setup.internal_domains.clone(), self.setup.settings.lookup_wait);
        let mut old = std::mem::take(&mut self.lookups);
        let same = domains == before.internal_domains;
        for identity in self.setup.identities.iter().filter(|identity| identity.looks_up) {
            let kept = if same { old.remove(&identity.name) } else { None };
            let mut lookup = kept.unwrap_or_else(|| Lookup::new(domains.clone(), wait));
            lookup.set_wait(wait);
            self.lookups.insert(identity.name.clone(), lookup);
        }
        for (identity, _) in old.iter().filter(|(_, lookup)| lookup.is_asking()) {
            self.discarded.insert(WorkKey::Lookup(identity.clone()));
        }
        for gone in old.into_keys() {
            self.wake_at(WorkKey::Lookup(gone), now);
        }
    }

    fn take_over_conferences(
        &mut self,
        continued: &BTreeMap<TargetName, TargetName>,
        replaced: &BTreeSet<IdentityName>,
        now: Now,
    ) {
        let identities: BTreeSet<IdentityName> =
            self.setup.identities.iter().map(|identity| identity.name.clone()).collect();
        let difference = ConfigDifference {
            targets: &self.targets,
            continued,
            identities: &identities,
            replaced,
            periods: self.periods(DEFAULT_INTERVAL),
            final_read: self.setup.settings.final_read,
        };
        let mut over = Vec::new();
        for (name, watched) in &mut self.conferences {
            if !watched.reconfigure(&difference, now.mono) {
                over.push(name.clone());
            }
        }
        for name in over {
            self.forget(&name, now);
        }
        let names: Vec<ConferenceName> = self.conferences.keys().cloned().collect();
        for name in names {
            self.publish(&name, now);
            self.wake_at(WorkKey::Conference(name), now.mono);
        }
    }
}

/// Returns the target before that these settings continue: the one of the same name, or one that is gone under its name.
fn predecessor(before: &BTreeMap<TargetName, Target>, settings: &TargetSettings) -> Option<TargetName> {
    let own = before.get(&settings.name).filter(|target| target.is_continued_by(settings));
    let renamed = || {
        let mut others = before.values();
        others.find(|target| target.is_continued_by(settings) && target.settings.identity == settings.identity)
    };
    own.or_else(renamed).map(|target| target.settings.name.clone())
}
