//! Pure: whether the wall clock is plausible enough to delete by it.
//!
//! Deleting cannot be undone, and a clock can be years off: before the first NTP answer, after a dead battery, after an
//! operator's mistake. So after each leap the clock has to run for a day before anything is deleted by it. Waiting
//! costs a day's worth of disk.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{Now, elapsed, saturating_add};

/// A leap ahead longer than this is doubted, for as long as this.
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// Google's clock stamps events and ours stamps deliveries: how far the two may differ.
const SKEW: Duration = Duration::from_secs(600);

/// How long tombstones are kept. Google shows a record for 30 days after its end, and a tombstone is younger than its
/// record's end: a month later no listing shows the record any more.
pub(super) const TOMBSTONE_RETENTION: Duration = Duration::from_secs(31 * 86_400);

/// Compares the wall clock with its reading at the previous check, and stores the new reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockCheck {
    /// The previous check of this process, if there was one.
    pub previous: Option<Now>,
    pub now: Now,
}

/// What the store remembers of the clock between checks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ClockMarks {
    /// The wall clock at the last check, in this process or an earlier one.
    pub(super) seen: Option<Timestamp>,
    /// Nothing is deleted before this time.
    pub(super) wait_until: Option<Timestamp>,
}

/// Why nothing may be deleted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockDoubt {
    /// The newest event in the store is in the future.
    Behind,
    /// The clock went ahead by more than a day, or was not checked for so long; it is trusted from `until` on.
    Leapt { until: Timestamp },
}

/// Judges the clock. `newest` is the observation time of the newest event. Returns the marks to store, and the doubt if
/// there is one.
#[must_use]
pub(super) fn judge(
    marks: ClockMarks,
    check: ClockCheck,
    newest: Option<Timestamp>,
) -> (ClockMarks, Option<ClockDoubt>) {
    let ClockCheck { previous, now } = check;
    let expected = match previous {
        Some(before) => Some(before.after(now.mono.saturating_sub(before.mono)).wall),
        None => marks.seen,
    };
    let leapt = expected.is_some_and(|expected| elapsed(expected, now.wall) > DAY);
    let trusted_at = saturating_add(now.wall, DAY);
    // If the clock was set back since, the wait is still no longer than a day.
    let wait_until = if leapt { Some(trusted_at) } else { marks.wait_until.map(|until| until.min(trusted_at)) };
    let wait_until = wait_until.filter(|until| now.wall < *until);
    let doubt = if newest.is_some_and(|newest| elapsed(now.wall, newest) > SKEW) {
        Some(ClockDoubt::Behind)
    } else {
        wait_until.map(|until| ClockDoubt::Leapt { until })
    };
    (ClockMarks { seen: Some(now.wall), wait_until }, doubt)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn noon() -> Now {
        Now { mono: 10 * HOUR, wall: "2026-01-05T12:00:00Z".parse().unwrap() }
    }

    fn check(previous: Option<Now>, now: Now) -> ClockCheck {
        ClockCheck { previous, now }
    }

    /// Sets the wall clock ahead.
    fn leap(now: Now, by: Duration) -> Now {
        Now { wall: saturating_add(now.wall, by), ..now }
    }

    /// Sets the wall clock back.
    fn back(now: Now, by: Duration) -> Now {
        Now { wall: now.wall.saturating_sub(by).unwrap(), ..now }
    }

    #[test]
    fn a_clock_without_marks_and_one_that_runs_evenly_are_trusted() {
        let (marks, doubt) = judge(ClockMarks::default(), check(None, noon()), None);
        assert_eq!((marks.seen, doubt), (Some(noon().wall), None));
        let later = noon().after(3 * DAY);
        assert_eq!(judge(marks, check(Some(noon()), later), Some(later.wall)).1, None);
    }

    #[test]
    fn a_clock_that_leapt_ahead_is_trusted_after_a_day() {
        let (marks, _) = judge(ClockMarks::default(), check(None, noon()), None);
        let leapt = leap(noon().after(HOUR), DAY + HOUR);
        let (marks, doubt) = judge(marks, check(Some(noon()), leapt), None);
        let until = saturating_add(leapt.wall, DAY);
        assert_eq!(doubt, Some(ClockDoubt::Leapt { until }));
        let (marks, doubt) = judge(marks, check(Some(leapt), leapt.after(DAY - HOUR)), None);
        assert_eq!(doubt, Some(ClockDoubt::Leapt { until }));
        let (marks, doubt) = judge(marks, check(Some(leapt.after(DAY - HOUR)), leapt.after(DAY)), None);
        assert_eq!((marks.wait_until, doubt), (None, None));
    }

    #[test]
    fn small_clock_steps_and_a_short_stop_raise_no_doubt() {
        let (marks, _) = judge(ClockMarks::default(), check(None, noon()), None);
        assert_eq!(judge(marks, check(Some(noon()), leap(noon(), DAY)), None).1, None);
        assert_eq!(judge(marks, check(None, leap(noon(), 20 * HOUR)), None).1, None);
        assert_eq!(judge(marks, check(Some(noon()), back(noon(), HOUR)), None).1, None);
    }

    #[test]
    fn after_more_than_a_day_without_a_check_the_wait_is_a_day_over_any_number_of_restarts() {
        let (marks, _) = judge(ClockMarks::default(), check(None, noon()), None);
        let mut now = leap(noon(), 3 * DAY);
        let (mut marks, doubt) = judge(marks, check(None, now), None);
        assert!(doubt.is_some());
        for _ in 0..23 {
            now = now.after(HOUR);
            let (next, doubt) = judge(marks, check(None, now), None);
            assert!(doubt.is_some());
            marks = next;
        }
        assert_eq!(judge(marks, check(None, now.after(HOUR)), None).1, None);
    }

    #[test]
    fn a_clock_behind_the_newest_event_is_doubted_until_it_has_caught_up() {
        let newest = Some(saturating_add(noon().wall, HOUR));
        let (marks, doubt) = judge(ClockMarks::default(), check(None, noon()), newest);
        assert_eq!(doubt, Some(ClockDoubt::Behind));
        assert_eq!(judge(marks, check(Some(noon()), noon().after(HOUR)), newest).1, None);
        assert_eq!(judge(marks, check(Some(noon()), noon().after(HOUR - SKEW)), newest).1, None, "skew is no doubt");
    }

    #[test]
    fn a_leap_of_ten_years_that_is_undone_costs_a_day() {
        let (marks, _) = judge(ClockMarks::default(), check(None, noon()), None);
        let wrong = leap(noon(), 3650 * DAY);
        let (marks, _) = judge(marks, check(Some(noon()), wrong), None);
        let right = noon().after(HOUR);
        let (marks, doubt) = judge(marks, check(Some(wrong), right), None);
        assert_eq!(doubt, Some(ClockDoubt::Leapt { until: saturating_add(right.wall, DAY) }));
        assert_eq!(judge(marks, check(Some(right), right.after(DAY)), None).1, None);
    }
}
