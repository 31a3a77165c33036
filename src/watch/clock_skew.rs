//! Pure: the difference between Google's clock and ours, learnt from the `Date` headers of responses.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::roster::Moment;
use crate::clock::Now;

/// `Date` counts whole seconds, so a smaller difference is indistinguishable from none.
const NOTICEABLE: SignedDuration = SignedDuration::from_secs(2);
/// A `Date` that is further off is ignored as wrong.
const BELIEVABLE: SignedDuration = SignedDuration::from_hours(24);
/// The median of so many headers is used, so that a single wrong one has no effect.
const REMEMBERED: usize = 5;

/// The difference between the clocks, by the last responses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClockSkew {
    last: VecDeque<SignedDuration>,
    middle: SignedDuration,
    /// Our wall clock minus our monotonic clock, when the last header came.
    clocks: Option<SignedDuration>,
}

impl ClockSkew {
    /// Notes the `Date` of a response. It names the second that had begun, so its middle is used.
    pub fn note(&mut self, google: Timestamp, now: Now) {
        let offset = google.duration_since(now.wall) + SignedDuration::from_millis(500);
        if offset.abs() > BELIEVABLE {
            return;
        }
        let mono = SignedDuration::try_from(now.mono).unwrap_or(SignedDuration::MAX);
        let clocks = now.wall.duration_since(Timestamp::UNIX_EPOCH).saturating_sub(mono);
        if self.clocks.replace(clocks).is_some_and(|before| clocks.saturating_sub(before).abs() > NOTICEABLE) {
            // Our clock was set, or the machine slept: the headers before that no longer say anything.
            self.last.clear();
        }
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(offset);
        let mut sorted: Vec<_> = self.last.iter().copied().collect();
        sorted.sort_unstable();
        self.middle = sorted[sorted.len() / 2];
    }

    /// Returns Google's clock minus ours.
    #[must_use]
    pub fn offset(&self) -> SignedDuration {
        self.middle
    }

    /// Returns `now` with the time by Google's clock.
    #[must_use]
    pub fn moment(&self, now: Now) -> Moment {
        let shift = if self.middle.abs() > NOTICEABLE { self.middle } else { SignedDuration::ZERO };
        Moment { now, google: now.wall.saturating_add(shift).unwrap_or(now.wall) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn now(mono: u32, wall: i64) -> Now {
        Now { mono: Duration::from_secs(mono.into()), wall: Timestamp::from_second(1_800_000_000 + wall).unwrap() }
    }

    fn google(at: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + at).unwrap()
    }

    #[test]
    fn one_wrong_header_has_no_effect() {
        let mut clock_skew = ClockSkew::default();
        for second in 0_u32..4 {
            clock_skew.note(google(100 + i64::from(second)), now(second, second.into()));
        }
        clock_skew.note(google(4 + 5000), now(4, 4));
        assert_eq!(clock_skew.offset(), SignedDuration::from_millis(100_500));
    }

    #[test]
    fn after_our_clock_was_set_the_next_header_says_how_far_it_is_off() {
        let mut clock_skew = ClockSkew::default();
        for second in 0_u32..5 {
            clock_skew.note(google(i64::from(second)), now(second, second.into()));
        }
        clock_skew.note(google(5), now(5, 5 + 3600));
        assert_eq!(clock_skew.moment(now(5, 5 + 3600)).google, Timestamp::from_millisecond(1_800_000_005_500).unwrap());
    }
}
