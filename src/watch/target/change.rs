//! What becomes of a target when the configuration changes while it is watched.

use super::{DiscoveryQuestion, Target};
use crate::backoff::Backoff;
use crate::clock::{Mono, Now};
use crate::store::TargetRow;
use crate::watch::settings::{TargetSelector, TargetSettings};

/// The reason of a gap in which a target was not in the configuration.
const NOT_CONFIGURED: &str = "not_configured";

impl Target {
    /// A target that the configuration has (again). What it once knew, it still does: what came and went while it was not
    /// configured is found, and that nobody looked is told.
    #[must_use]
    pub fn added(settings: TargetSettings, stored: Option<TargetRow>, backoff: Backoff, now: Now) -> Self {
        let mut target = Self::new(settings, stored, backoff, now.mono, now.wall);
        target.gap_reason = NOT_CONFIGURED;
        target
    }

    /// Whether these settings ask the same of the same person. By an organizer's target that is the same identity; whatever
    /// is named shows the same to whoever may see it.
    #[must_use]
    pub fn is_continued_by(&self, settings: &TargetSettings) -> bool {
        let same = self.settings.selector == settings.selector;
        same && (self.settings.selector != TargetSelector::Organizer || self.settings.identity == settings.identity)
    }

    /// Goes on under other settings of the same meaning. It is asked at once, for the period may be shorter, or whoever
    /// asks another.
    pub fn go_on_as(&mut self, settings: TargetSettings, now: Mono) {
        if self.settings.name != settings.name {
            // Nothing is stored under the new name yet, and what is being written is under the old one.
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
