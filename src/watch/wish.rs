//! Pure: a read that is due and waits until it can be paid for.

use std::cmp::Ordering;
use std::time::Duration;

use crate::clock::Mono;

/// A read that somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    pub due: Mono,
    /// A read that comes this much later than it was due is twice as late as it should be.
    pub patience: Duration,
}

/// How late a read is, to be compared with others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lateness {
    /// The delay, as a multiple of the patience.
    pub ratio: f64,
    patience: Duration,
}

impl Wish {
    /// Returns how late it is.
    #[must_use]
    pub fn lateness(&self, now: Mono) -> Lateness {
        let ratio = now.saturating_sub(self.due).as_secs_f64() / self.patience.as_secs_f64().max(1e-3);
        Lateness { ratio, patience: self.patience }
    }
}

impl Lateness {
    /// Compares: the later is the greater, and of two that are equally late the less patient.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        self.ratio.total_cmp(&other.ratio).then(other.patience.cmp(&self.patience))
    }
}
