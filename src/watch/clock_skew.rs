//! Pure: the difference between Google's clock and ours, learnt from the `Date` headers of responses.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::roster::Moment;
use crate::clock::Now;

/// `Date` counts whole seconds, so a smaller difference is indistinguishable from none.
const NOTICEABLE: SignedDuration = SignedDuration::from_secs(2);
/// A clock of ours that is further off is in doubt.
const DOUBTFUL: SignedDuration = SignedDuration::from_hours(24);
/// So many headers in a row that are further off are believed against those before.
const FAR_OFF_IN_A_ROW: usize = 3;
/// The median of so many headers is used, so that a single wrong one has no effect.
const REMEMBERED: usize = 5;

/// The difference between the clocks, by the last responses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClockSkew {
    last: VecDeque<SignedDuration>,
    middle: SignedDuration,
    /// How many headers in a row were ignored because they put our clock in doubt and those before did not.
    ignored: usize,
    /// Our wall clock minus our monotonic clock, when the last header came.
    clocks: Option<SignedDuration>,
}

impl ClockSkew {
    /// Notes the `Date` of a response. It names the second that had begun, so its middle is used.
    pub fn note(&mut self, google: Timestamp, now: Now) {
        let offset = google.duration_since(now.wall) + SignedDuration::from_millis(500);
        let clocks = clocks(now);
        if self.clocks.replace(clocks).is_some_and(|before| clocks.saturating_sub(before).abs() > NOTICEABLE) {
            // Our clock was set, or the machine slept: the headers before that no longer say anything.
            self.last.clear();
        }
        // Our clock does not go wrong by a day without being set. So the header is more likely to be wrong.
        if offset.abs() > DOUBTFUL && self.last.iter().any(|before| before.abs() <= DOUBTFUL) {
            self.ignored += 1;
            if self.ignored < FAR_OFF_IN_A_ROW {
                return;
            }
            self.last.clear();
        }
        self.ignored = 0;
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

    /// Returns whether our clock is so far off that nothing may be measured by it.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.middle.abs() > DOUBTFUL
    }

    /// Returns the offset at `now`. If our clock was set by days since the last header, or was off by days, what it was set
    /// by is taken off at once; otherwise the next header says it.
    fn offset_at(&self, now: Now) -> SignedDuration {
        let set_by = self.clocks.map_or(SignedDuration::ZERO, |before| clocks(now).saturating_sub(before));
        let is_set = set_by.abs() > NOTICEABLE && (set_by.abs() > DOUBTFUL || self.is_in_doubt());
        if is_set { self.middle.saturating_sub(set_by) } else { self.middle }
    }

    /// Returns `now` with the time by Google's clock.
    #[must_use]
    pub fn moment(&self, now: Now) -> Moment {
        let offset = self.offset_at(now);
        let shift = if offset.abs() > NOTICEABLE { offset } else { SignedDuration::ZERO };
        Moment { now, google: now.wall.saturating_add(shift).unwrap_or(now.wall) }
    }
}

/// Returns our wall clock minus our monotonic clock, which changes only when the former is set.
fn clocks(now: Now) -> SignedDuration {
    let mono = SignedDuration::try_from(now.mono).unwrap_or(SignedDuration::MAX);
    now.wall.duration_since(Timestamp::UNIX_EPOCH).saturating_sub(mono)
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

    const TEN_YEARS: i64 = 10 * 365 * 86_400;

    #[test]
    fn a_clock_that_is_ten_years_off_is_seen_with_the_first_header_and_its_time_is_not_used() {
        let mut clock_skew = ClockSkew::default();
        clock_skew.note(google(0), now(0, -TEN_YEARS));
        assert!(clock_skew.is_in_doubt());
        assert_eq!(clock_skew.offset().as_secs(), TEN_YEARS);
        assert_eq!(
            clock_skew.moment(now(60, 60 - TEN_YEARS)).google,
            Timestamp::from_millisecond(1_800_000_060_500).unwrap()
        );
        // The clock is set right, and no answer came since.
        assert_eq!(clock_skew.moment(now(61, 61)).google, google(61));
        clock_skew.note(google(62), now(62, 62));
        assert!(!clock_skew.is_in_doubt());
    }

    #[test]
    fn a_clock_that_is_set_ten_years_back_does_not_take_googles_time_with_it() {
        let mut clock_skew = ClockSkew::default();
        for second in 0_u32..5 {
            clock_skew.note(google(i64::from(second)), now(second, second.into()));
        }
        let set_back = clock_skew.moment(now(10, 10 - TEN_YEARS)).google;
        assert!(set_back.duration_since(google(10)).abs() <= SignedDuration::from_secs(1), "{set_back}");
    }

    #[test]
    fn a_header_that_is_years_off_is_ignored_until_the_third_in_a_row() {
        let mut clock_skew = ClockSkew::default();
        clock_skew.note(google(0), now(0, 0));
        for second in 1_u32..3 {
            clock_skew.note(google(i64::from(second) + TEN_YEARS), now(second, second.into()));
            assert!(!clock_skew.is_in_doubt(), "{second}");
        }
        clock_skew.note(google(3 + TEN_YEARS), now(3, 3));
        assert!(clock_skew.is_in_doubt());
    }
}
