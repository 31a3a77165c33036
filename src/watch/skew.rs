//! Pure: how far Google's clock is from ours.

use jiff::{SignedDuration, Timestamp};

use super::roster::Moment;
use crate::clock::Now;

/// A `Date` header counts whole seconds, so less than this cannot be told from no difference at all.
const NOTICEABLE: SignedDuration = SignedDuration::from_secs(2);

/// The difference between the clocks, as the last response showed it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Skew(SignedDuration);

impl Skew {
    /// Takes note of a response's `Date`. The header names the second that had begun, so its middle is meant.
    pub fn note(&mut self, google: Timestamp, now: Now) {
        self.0 = google.duration_since(now.wall) + SignedDuration::from_millis(500);
    }

    /// Google's clock minus ours.
    #[must_use]
    pub fn offset(self) -> SignedDuration {
        self.0
    }

    /// `now` with Google's clock beside ours.
    #[must_use]
    pub fn moment(self, now: Now) -> Moment {
        let shift = if self.0.abs() > NOTICEABLE { self.0 } else { SignedDuration::ZERO };
        Moment { now, google: now.wall.saturating_add(shift).unwrap_or(now.wall) }
    }
}
