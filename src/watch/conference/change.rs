//! Pure: what becomes of a conference when the configuration changes while the daemon runs.
//!
//! A conference with events is watched to its end, as after a restart: one that no target covers any more is still read, for
//! no target, until it has ended. So every start that was reported gets its end.

use std::collections::{BTreeMap, BTreeSet};

use super::{ConfigDifference, InFlight, Stage, WatchedConference};
use crate::clock::Mono;
use crate::model::{IdentityName, TargetName};
use crate::watch::roster::Roster;
use crate::watch::target::Target;

impl WatchedConference {
    /// Applies new names of identities.
    pub fn rename_identities(&mut self, renamed: &BTreeMap<IdentityName, IdentityName>) {
        for reader in &mut self.identities {
            if let Some(name) = renamed.get(reader) {
                *reader = name.clone();
            }
        }
    }

    /// Continues under another configuration. Returns whether the conference is still to be watched. One that has no events
    /// yet and that no target covers any more is not.
    pub fn reconfigure(&mut self, difference: &ConfigDifference<'_>, now: Mono) -> bool {
        let reader = self.identity().cloned();
        let before = std::mem::take(&mut self.targets);
        let continued = before.iter().filter_map(|name| difference.continued.get(name));
        let mut reaching: BTreeSet<&TargetName> = continued.collect();
        let record = self.roster.as_ref().map(Roster::record);
        let space = record.and_then(|record| record.space.as_ref());
        let code = record.and_then(|record| record.meeting_code.as_ref());
        let named = difference.targets.iter().filter(|(_, target)| target.names(&self.name, space, code));
        reaching.extend(named.map(|(name, _)| name));

        self.periods = difference.periods;
        let reaching: Vec<&Target> = reaching.into_iter().filter_map(|name| difference.targets.get(name)).collect();
        self.periods.listing =
            reaching.iter().map(|target| target.settings.poll_interval).min().unwrap_or(difference.periods.listing);
        for target in &reaching {
            self.reached_by(target);
        }
        self.plan.set_periods(self.periods);
        self.keep_identities(|reader| difference.identities.contains(reader));
        self.keep_identities(|reader| reaching.iter().any(|target| target.settings.identity == *reader));
        if let Stage::AwaitingFinalRead { due, .. } = &mut self.stage {
            *due = (*due).min(now + difference.final_read);
        }
        if self.identity() != reader.as_ref() || reader.is_some_and(|reader| difference.replaced.contains(&reader)) {
            self.change_reader(now);
        }
        !self.is_opening() || !self.targets.is_empty() || matches!(self.in_flight, InFlight::Committing { .. })
    }

    /// Notes that another identity reads the conference from now on. Absence counts start over with its first listing, and
    /// the answer that is awaited is discarded.
    fn change_reader(&mut self, now: Mono) {
        self.discards_answer = matches!(self.in_flight, InFlight::Reading(_));
        self.empty_unconfirmed = false;
        self.roster = self.roster.take().map(|roster| roster.with_absences_restarted(now));
        if let InFlight::Committing { roster, .. } = &mut self.in_flight {
            **roster = roster.as_ref().clone().with_absences_restarted(now);
        }
    }
}
