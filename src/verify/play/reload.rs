//! The operator changes the configuration while the history goes on. What is watched stays the same, under whatever names, as
//! whoever, and however often: so the log has to be the same world's all the while.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Play;
use crate::verify::history::Broken;
use crate::watch::{Revision, SchedulerInput};

impl Play {
    /// When the configuration changes next.
    pub(super) fn plan_reload(&mut self) {
        let next = self.options.reloads.then(|| self.mono + Duration::from_secs(self.random.u64(5..900)));
        self.reload_at = next.filter(|at| *at <= self.options.length);
    }

    /// Changes something of it, if it is time.
    pub(super) fn reload(&mut self) -> Result<(), Broken> {
        if self.reload_at.is_none_or(|at| at > self.mono) {
            return Ok(());
        }
        let (mut renamed, mut replaced) = (BTreeMap::new(), BTreeSet::new());
        match self.random.u8(..7) {
            0 => self.cast.rename_targets()?,
            1 => self.cast.swap_targets(),
            2 => renamed = self.cast.rename_identities()?,
            3 => self.cast.poll_every(Duration::from_secs(self.random.u64(5..30))),
            4 => self.cast.sweep_every(Duration::from_secs(self.random.u64(20..120))),
            5 => replaced = self.cast.identities(),
            // Nothing at all.
            _ => {}
        }
        self.count("reload");
        let remembered = self.db.targets().map_err(|error| Broken::Store(error.to_string()))?;
        let setup = self.cast.setup(self.post.iter().flat_map(super::Post::routes).collect());
        self.journal.note(self.google(), None, || "the configuration is read again".to_owned());
        self.step(SchedulerInput::Reconfigured(Box::new(Revision { setup, remembered, replaced, renamed })));
        self.plan_reload();
        Ok(())
    }
}
