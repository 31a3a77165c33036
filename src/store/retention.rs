//! Pure: whether what is old may be deleted now, or whether the clock that says so is in doubt.
//!
//! Deleting is the one thing that cannot be taken back, and a clock can be years off: at a machine's start before it asked
//! anybody, after a battery died, after somebody's mistake. So after each leap the clock has to run for a day before it is
//! believed. Waiting costs nothing but a day's worth of disk.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{Now, elapsed, saturating_add};

/// A leap ahead is doubted when it is longer than this, and then for as long.
pub const DAY: Duration = Duration::from_secs(86_400);

/// Google's clock stamps events and ours stamps deliveries: so far apart they may be.
const SKEW: Duration = Duration::from_secs(600);

/// Google shows a record for 30 days after its end. A tombstone is younger than its record's end, so a month after it was
/// made nobody is shown the record any more.
pub const TOMBSTONE: Duration = Duration::from_secs(31 * 86_400);

/// What the store remembers of the clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// What the clock said when it was looked at last, in this process or an earlier one.
    pub seen: Option<Timestamp>,
    /// Nothing is deleted before this.
    pub wait_until: Option<Timestamp>,
}

/// Why nothing is deleted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockDoubt {
    /// The newest event in the store lies in the future.
    Behind,
    /// The clock went ahead by more than a day, or nobody looked at it for so long; it is believed from then on.
    Leapt { until: Timestamp },
}

/// Weighs the clock. `looked`: the last look of this process. `newest`: when the newest event was told.
/// Returns what is to be remembered.
#[must_use]
pub fn weigh(marks: Marks, looked: Option<Now>, newest: Option<Timestamp>, now: Now) -> (Marks, Option<ClockDoubt>) {
    let expected = match looked {
        Some(before) => Some(before.after(now.mono.saturating_sub(before.mono)).wall),
        None => marks.seen,
    };
    let leapt = expected.is_some_and(|expected| elapsed(expected, now.wall) > DAY);
    let believed = saturating_add(now.wall, DAY);
    // However the clock went back since, the wait is never longer than a whole one.
    let wait_until = if leapt { Some(believed) } else { marks.wait_until.map(|until| until.min(believed)) };
    let wait_until = wait_until.filter(|until| now.wall < *until);
    let doubt = if newest.is_some_and(|newest| elapsed(now.wall, newest) > SKEW) {
        Some(ClockDoubt::Behind)
    } else {
        wait_until.map(|until| ClockDoubt::Leapt { until })
    };
    (Marks { seen: Some(now.wall), wait_until }, doubt)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn noon() -> Now {
        Now { mono: 10 * HOUR, wall: "2026-01-05T12:00:00Z".parse().unwrap() }
    }

    /// The wall clock leaps ahead by this.
    fn leap(now: Now, by: Duration) -> Now {
        Now { wall: saturating_add(now.wall, by), ..now }
    }

    /// The wall clock leaps back by this.
    fn back(now: Now, by: Duration) -> Now {
        Now { wall: now.wall.saturating_sub(by).unwrap(), ..now }
    }

    #[test]
    fn a_clock_that_was_never_seen_and_one_that_goes_on_are_believed() {
        let (marks, doubt) = weigh(Marks::default(), None, None, noon());
        assert_eq!((marks.seen, doubt), (Some(noon().wall), None));
        let later = noon().after(3 * DAY);
        assert_eq!(weigh(marks, Some(noon()), Some(later.wall), later).1, None);
    }

    #[test]
    fn a_clock_that_leapt_ahead_is_believed_after_a_day() {
        let (marks, _) = weigh(Marks::default(), None, None, noon());
        let leapt = leap(noon().after(HOUR), DAY + HOUR);
        let (marks, doubt) = weigh(marks, Some(noon()), None, leapt);
        let until = saturating_add(leapt.wall, DAY);
        assert_eq!(doubt, Some(ClockDoubt::Leapt { until }));
        let (marks, doubt) = weigh(marks, Some(leapt), None, leapt.after(DAY - HOUR));
        assert_eq!(doubt, Some(ClockDoubt::Leapt { until }));
        let (marks, doubt) = weigh(marks, Some(leapt.after(DAY - HOUR)), None, leapt.after(DAY));
        assert_eq!((marks.wait_until, doubt), (None, None));
    }

    #[test]
    fn small_steps_of_the_clock_and_a_short_stop_are_nothing() {
        let (marks, _) = weigh(Marks::default(), None, None, noon());
        assert_eq!(weigh(marks, Some(noon()), None, leap(noon(), DAY)).1, None);
        assert_eq!(weigh(marks, None, None, leap(noon(), 20 * HOUR)).1, None);
        assert_eq!(weigh(marks, Some(noon()), None, back(noon(), HOUR)).1, None);
    }

    #[test]
    fn after_more_than_a_day_unseen_nothing_is_deleted_for_a_day_however_often_it_restarts() {
        let (marks, _) = weigh(Marks::default(), None, None, noon());
        let mut now = leap(noon(), 3 * DAY);
        let (mut marks, doubt) = weigh(marks, None, None, now);
        assert!(doubt.is_some());
        for _ in 0..23 {
            now = now.after(HOUR);
            let (next, doubt) = weigh(marks, None, None, now);
            assert!(doubt.is_some());
            marks = next;
        }
        assert_eq!(weigh(marks, None, None, now.after(HOUR)).1, None);
    }

    #[test]
    fn a_clock_behind_the_newest_event_is_doubted_for_as_long_as_it_is() {
        let newest = Some(saturating_add(noon().wall, HOUR));
        let (marks, doubt) = weigh(Marks::default(), None, newest, noon());
        assert_eq!(doubt, Some(ClockDoubt::Behind));
        assert_eq!(weigh(marks, Some(noon()), newest, noon().after(HOUR)).1, None);
        assert_eq!(weigh(marks, Some(noon()), newest, noon().after(HOUR - SKEW)).1, None, "skew is no doubt");
    }

    #[test]
    fn a_leap_of_ten_years_that_is_undone_costs_a_day_and_not_ten_years() {
        let (marks, _) = weigh(Marks::default(), None, None, noon());
        let wrong = leap(noon(), 3650 * DAY);
        let (marks, _) = weigh(marks, Some(noon()), None, wrong);
        let right = noon().after(HOUR);
        let (marks, doubt) = weigh(marks, Some(wrong), None, right);
        assert_eq!(doubt, Some(ClockDoubt::Leapt { until: saturating_add(right.wall, DAY) }));
        assert_eq!(weigh(marks, Some(right), None, right.after(DAY)).1, None);
    }
}
