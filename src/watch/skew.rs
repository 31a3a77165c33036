//! Pure: how far Google's clock is from ours.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::roster::Moment;
use crate::clock::Now;

/// A `Date` header counts whole seconds, so less than this cannot be told from no difference at all.
const NOTICEABLE: SignedDuration = SignedDuration::from_secs(2);
/// A `Date` further off than this is somebody's mistake and no clock.
const BELIEVABLE: SignedDuration = SignedDuration::from_hours(24);
/// The middle of so many headers counts, so that one that is off moves nothing.
const REMEMBERED: usize = 5;

/// The difference between the clocks, as the last responses showed it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skew {
    last: VecDeque<SignedDuration>,
    middle: SignedDuration,
}

impl Skew {
    /// Takes note of a response's `Date`. The header names the second that had begun, so its middle is meant.
    pub fn note(&mut self, google: Timestamp, now: Now) {
        let offset = google.duration_since(now.wall) + SignedDuration::from_millis(500);
        if offset.abs() > BELIEVABLE {
            return;
        }
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(offset);
        let mut sorted: Vec<_> = self.last.iter().copied().collect();
        sorted.sort_unstable();
        self.middle = sorted[sorted.len() / 2];
    }

    /// Google's clock minus ours.
    #[must_use]
    pub fn offset(&self) -> SignedDuration {
        self.middle
    }

    /// `now` with Google's clock beside ours.
    #[must_use]
    pub fn moment(&self, now: Now) -> Moment {
        let shift = if self.middle.abs() > NOTICEABLE { self.middle } else { SignedDuration::ZERO };
        Moment { now, google: now.wall.saturating_add(shift).unwrap_or(now.wall) }
    }
}
