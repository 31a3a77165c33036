//! Pure: what of a target is written to the store, and when: its row, and the gap that it reports.

use std::time::Duration;

use jiff::Timestamp;

use super::Target;
use crate::clock::elapsed;
use crate::model::{Gap, Route};
use crate::store::{Commit, TargetRow};
use crate::watch::gap::{self, GapCoverage};
use crate::watch::persist::{self, UnwritableEvent};
use crate::watch::roster::EmittedEvent;
use crate::watch::settings::REMEMBER_EVERY;

/// How long a target waits for one of its conferences to report the gap that both had.
const COVERED_WITHIN: Duration = Duration::from_secs(120);

impl Target {
    /// Returns the gap that is not reported yet.
    #[must_use]
    pub fn gap(&self) -> Option<&Gap> {
        self.gap.as_ref()
    }

    /// Returns the commit that is due: the row, if it is new, changed or old enough, and the gap, if the target has to report
    /// it. While `is_opening`, a conference that the target found is not stored yet, so the cursor that found it is not
    /// stored either.
    ///
    /// # Errors
    /// [`UnwritableEvent`] if the gap has no JSON form.
    pub fn remember(
        &mut self,
        coverage: GapCoverage,
        is_opening: bool,
        routes: &[Route],
        observed_at: Timestamp,
    ) -> Result<Option<Commit>, UnwritableEvent> {
        let is_recent = |gap: &Gap| elapsed(gap.to, observed_at) < COVERED_WITHIN;
        let waits = coverage == GapCoverage::Pending && self.gap.as_ref().is_some_and(is_recent);
        if self.writing.is_some() || waits {
            return Ok(None);
        }
        let gap = self.gap.take().filter(|_| coverage != GapCoverage::Reported);
        let gap = gap.map(|gap| gap::of_target(&self.settings.name, gap, observed_at));
        let has_aged = |stored: &TargetRow| {
            let (Some(old), Some(new)) = (stored.last_looked, self.row.last_looked) else { return *stored != self.row };
            elapsed(old, new) >= REMEMBER_EVERY
        };
        if gap.is_none() && !self.stored.as_ref().is_none_or(has_aged) {
            return Ok(None);
        }
        let targets = [self.settings.name.clone()];
        let events = gap.clone().map(|gap| persist::event(gap, &targets, routes)).transpose()?;
        let mut row = self.row.clone();
        if is_opening {
            row.discovered_to = self.stored.as_ref().and_then(|stored| stored.discovered_to);
        }
        self.writing = Some((row.clone(), gap));
        Ok(Some(Commit { targets: vec![row], events: events.into_iter().collect(), ..Commit::default() }))
    }

    /// Notes that the commit contradicts the store: the gap is in the log already, and the row is to be written again.
    pub fn contradicted(&mut self) {
        (self.writing, self.stored) = (None, None);
    }

    /// Notes that the commit succeeded or failed. Returns the event that it committed.
    pub fn committed(&mut self, succeeded: bool) -> Option<EmittedEvent> {
        let (row, emitted) = self.writing.take()?;
        if succeeded {
            self.stored = Some(row);
            return emitted;
        }
        if let Some(unreported) = emitted.and_then(|emitted| emitted.event.gap) {
            let later = self.gap.take();
            self.gap = Some(later.map_or(unreported.clone(), |later| gap::merged(Some(unreported), later)));
        }
        None
    }
}
