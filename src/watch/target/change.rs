//! Pure: what becomes of a target when the configuration changes while the daemon runs.

use super::{DiscoveryQuestion, Target};
use crate::backoff::Backoff;
use crate::clock::{Mono, Now};
use crate::store::TargetRow;
use crate::watch::gap::NOT_CONFIGURED;
use crate::watch::settings::{TargetSelector, TargetSettings};

impl Target {
    /// Creates a target that was added to the configuration, perhaps again. It continues from its stored row: conferences
    /// that took place while it was not configured are found, and the time is reported as a gap.
    #[must_use]
    pub fn added(settings: TargetSettings, stored: Option<TargetRow>, backoff: Backoff, now: Now) -> Self {
        let mut target = Self::new(settings, stored, backoff, now.mono, now.wall);
        target.gap_reason = NOT_CONFIGURED;
        target
    }

    /// Returns whether a target with these settings covers the same conferences. An organizer's target does so only under the
    /// same identity. What a code, space or conference name covers does not depend on the identity.
    #[must_use]
    pub fn is_continued_by(&self, settings: &TargetSettings) -> bool {
        let same = self.settings.selector == settings.selector;
        same && (self.settings.selector != TargetSelector::Organizer || self.settings.identity == settings.identity)
    }

    /// Continues under other settings that cover the same conferences. Everything becomes due now, because the period may be
    /// shorter or the identity another.
    pub fn go_on_as(&mut self, settings: TargetSettings, now: Mono) {
        if self.settings.name != settings.name {
            // Nothing is stored under the new name yet, and what is being written has the old one.
            (self.stored, self.writing) = (None, None);
            self.row.name = settings.name.clone();
        }
        if self.settings.identity != settings.identity {
            (self.failures, self.ended_failures, self.ended_answered) = (0, 0, None);
        }
        (self.due, self.ended_due) = (self.due.min(now), self.ended_due.min(now));
        (self.settings, self.question) = (settings, DiscoveryQuestion::Live);
    }
}
