//! Pure: what becomes of a conference when the configuration changes while it is watched.
//!
//! What was begun is told to its end, as after a restart: a conference that no target reaches any more goes on being read, for
//! no target, until it has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{InFlight, Stage, WatchedConference};
use crate::clock::Mono;
use crate::model::{IdentityName, TargetName};
use crate::watch::plan::ReadPeriods;
use crate::watch::roster::Roster;
use crate::watch::target::Target;

/// What is different now.
#[derive(Debug)]
pub struct ConfigDifference<'a> {
    /// Every target that there is now.
    pub targets: &'a BTreeMap<TargetName, Target>,
    /// What each target that goes on was called before, and is called now.
    pub continued: &'a BTreeMap<TargetName, TargetName>,
    /// The identities that there are now.
    pub identities: &'a BTreeSet<IdentityName>,
    /// Those whose names may stand for somebody else now.
    pub replaced: &'a BTreeSet<IdentityName>,
    /// The rhythm where no target asks for another.
    pub periods: ReadPeriods,
    pub final_read: Duration,
}

impl WatchedConference {
    /// Some identities are called otherwise now.
    pub fn rename_identities(&mut self, renamed: &BTreeMap<IdentityName, IdentityName>) {
        for reader in &mut self.identities {
            if let Some(name) = renamed.get(reader) {
                *reader = name.clone();
            }
        }
    }

    /// Goes on under another configuration. Returns whether it is still to be watched: what was only found and is reached
    /// by nothing any more is not.
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

    /// Somebody else reads from now on, and nobody is suspected of anything before that one has looked.
    fn change_reader(&mut self, now: Mono) {
        self.stale = matches!(self.in_flight, InFlight::Reading(_));
        self.empty_unconfirmed = false;
        self.roster = self.roster.take().map(|roster| roster.with_absences_restarted(now));
        if let InFlight::Committing { roster, .. } = &mut self.in_flight {
            **roster = roster.as_ref().clone().with_absences_restarted(now);
        }
    }
}
