//! What a measurement of lateness found, beside what a naive poller would do and the least that the quota allows.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{BEGINNING, LatenessOptions};
use crate::clock::{elapsed, saturating_add};
use crate::model::EventType;

/// The delays of one type of event, in seconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delays {
    /// How many happened in the measured time.
    pub happened: usize,
    told: Vec<f64>,
}

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub struct LatenessReport {
    pub options: LatenessOptions,
    delays: BTreeMap<EventType, Delays>,
    /// Reads in the measured time, by what they are for.
    pub reads: BTreeMap<&'static str, u64>,
    /// The most requests that any minute had.
    pub most_in_a_minute: u64,
    pub gaps: u64,
    /// How many events took back an earlier one.
    pub corrections: u64,
}

impl Delays {
    /// Returns how many were reported.
    #[must_use]
    pub fn told(&self) -> usize {
        self.told.len()
    }

    /// Returns the mean.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.told.iter().sum::<f64>() / count(self.told.len().max(1))
    }

    /// Returns the value below which this share of the delays lies.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.told.clone();
        sorted.sort_by(f64::total_cmp);
        // A share of a length is a valid index.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the length")]
        let at = (count(sorted.len().saturating_sub(1)) * share.clamp(0.0, 1.0)) as usize;
        sorted.get(at).copied().unwrap_or_default()
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a simulation are small")]
fn count(items: usize) -> f64 {
    items as f64
}

impl LatenessReport {
    pub(super) fn of(options: LatenessOptions) -> Self {
        Self { options, delays: BTreeMap::new(), reads: BTreeMap::new(), most_in_a_minute: 0, gaps: 0, corrections: 0 }
    }

    pub(super) fn happens(&mut self, event: EventType, at: Timestamp) {
        let from = saturating_add(BEGINNING, self.options.warm_up);
        if (from..saturating_add(BEGINNING, self.options.total())).contains(&at) {
            self.delays.entry(event).or_default().happened += 1;
        }
    }

    pub(super) fn note(&mut self, event: EventType, is_new: bool, happened: Timestamp, told: Timestamp) {
        if is_new {
            self.delays.entry(event).or_default().told.push(elapsed(happened, told).as_secs_f64());
        } else {
            self.corrections += 1;
        }
    }

    /// Returns the delays of a type of event.
    #[must_use]
    pub fn of_event(&self, event: EventType) -> Delays {
        self.delays.get(&event).cloned().unwrap_or_default()
    }

    /// Returns the delays of joins and leaves together.
    #[must_use]
    pub fn of_people(&self) -> Delays {
        let (mut joins, leaves) =
            (self.of_event(EventType::ParticipantJoined), self.of_event(EventType::ParticipantLeft));
        joins.happened += leaves.happened;
        joins.told.extend(leaves.told);
        joins
    }

    /// Returns the mean delay of a naive poller: it lists each meeting and the sessions of each of its people, one after
    /// another, as fast as the quota allows, and not more often than every ten seconds.
    #[must_use]
    pub fn naive(&self) -> f64 {
        let reads = count(self.options.meetings * (1 + self.options.people));
        (reads / self.a_second()).max(10.0) / 2.0
    }

    /// Returns the least mean delay if one read of a meeting shows everything: half of the time in which the quota left by the
    /// sessions of those who left lists each meeting once, and not less than half of ten seconds.
    #[must_use]
    pub fn bound(&self) -> f64 {
        let left = count(self.of_event(EventType::ParticipantLeft).happened) / self.options.measured.as_secs_f64();
        (count(self.options.meetings) / (self.a_second() - left).max(self.a_second() / 100.0)).max(10.0) / 2.0
    }

    fn a_second(&self) -> f64 {
        self.options.identity_limit.min(self.options.project_limit) / 60.0
    }
}
