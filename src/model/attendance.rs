//! Who was in a conference, for how long, and how many at once.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::references::ParticipantRef;

/// The most participants whose rows [`Attendance`] holds. Above that the event's `attendance_path` says where to read them.
pub const MAX_ATTENDANCE_ROWS: usize = 200;

/// Who was in a conference, at its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attendance {
    /// The most people at one time.
    pub peak: u32,
    /// How many different participants there were.
    pub total: u32,
    /// `null` above [`MAX_ATTENDANCE_ROWS`] participants.
    pub participants: Option<Vec<AttendanceRow>>,
}

/// One participant's attendance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttendanceRow {
    pub participant: ParticipantRef,
    pub first_join: Timestamp,
    pub last_leave: Timestamp,
    /// The length of the union of the participant's sessions.
    pub seconds_present: f64,
    /// How many sessions Google recorded.
    pub sessions: u32,
}

/// Returns the most people who were present at one time, given when each presence began and ended; one without an end goes on.
///
/// Intervals are half-open: leaving at t and joining at t do not overlap.
#[must_use]
pub fn peak(presences: impl IntoIterator<Item = (Timestamp, Option<Timestamp>)>) -> u32 {
    let mut edges: Vec<(Timestamp, i64)> = presences
        .into_iter()
        .flat_map(|(joined, left)| [Some((joined, 1)), left.map(|left| (left, -1))])
        .flatten()
        .collect();
    edges.sort_unstable();
    let (_, peak) = edges.into_iter().fold((0_i64, 0), |(now, peak), (_, step)| (now + step, peak.max(now + step)));
    u32::try_from(peak).unwrap_or_default()
}

/// Returns a length in seconds, cut to the millisecond, so that it is the same on every machine.
#[must_use]
pub fn seconds(duration: Duration) -> f64 {
    let millis = u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
    f64::from(millis) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn leaving_and_joining_at_one_instant_do_not_overlap() {
        assert_eq!(peak([(at(0), Some(at(5))), (at(5), Some(at(9)))]), 1);
        assert_eq!(peak([(at(0), Some(at(6))), (at(5), None)]), 2);
        assert_eq!(peak([]), 0);
    }
}
