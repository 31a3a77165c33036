//! Changes the configuration while a history runs: names of targets and identities, credentials, intervals. The watched
//! meetings stay the same, so the log must still report the same world.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Simulation;
use crate::verify::history::HistoryError;
use crate::watch::{Revision, SchedulerInput};

impl Simulation {
    /// Draws when the configuration changes next.
    pub(super) fn plan_reload(&mut self) {
        let next = self.options.reloads.then(|| self.mono + Duration::from_secs(self.random.u64(5..900)));
        self.reload_at = next.filter(|at| *at <= self.options.length);
    }

    /// Changes the configuration if it is due.
    pub(super) fn reload(&mut self) -> Result<(), HistoryError> {
        if self.reload_at.is_none_or(|at| at > self.mono) {
            return Ok(());
        }
        let (mut renamed, mut replaced) = (BTreeMap::new(), BTreeSet::new());
        match self.random.u8(..7) {
            0 => self.fixtures.rename_targets()?,
            1 => self.fixtures.swap_targets(),
            2 => renamed = self.fixtures.rename_identities()?,
            3 => self.fixtures.poll_every(Duration::from_secs(self.random.u64(5..30))),
            4 => self.fixtures.sweep_every(Duration::from_secs(self.random.u64(20..120))),
            5 => replaced = self.fixtures.identities(),
            // A reload without a change.
            _ => {}
        }
        self.count("reload");
        let remembered = self.db.targets().map_err(|error| HistoryError::Store(error.to_string()))?;
        let setup = self.fixtures.setup(self.receivers.iter().flat_map(super::Receivers::routes).collect());
        self.journal.note(self.google(), None, || "the configuration is read again".to_owned());
        self.step(SchedulerInput::Reconfigured(Box::new(Revision { setup, remembered, replaced, renamed })));
        self.plan_reload();
        Ok(())
    }
}
