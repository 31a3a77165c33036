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

/// When a participant joined and left; `None` while they are present. Half-open.
pub type PresenceInterval = (Timestamp, Option<Timestamp>);

/// What is known of one participant's presence.
#[derive(Debug, Clone, PartialEq)]
pub struct Presences {
    pub participant: ParticipantRef,
    /// In the order of time. They do not touch.
    pub intervals: Vec<PresenceInterval>,
    /// How many sessions Google recorded.
    pub sessions: u32,
}

/// One participant's attendance of a conference that may still go on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attendee {
    pub participant: ParticipantRef,
    pub first_join: Timestamp,
    /// `None` while the participant is present.
    pub last_leave: Option<Timestamp>,
    /// The length of all intervals.
    pub seconds_present: f64,
    pub sessions: u32,
}

/// Returns the most people who were present at one time, and a row for everybody with an interval, ordered by first join.
///
/// An interval that is still open is counted up to `now`; without one its length is zero.
#[must_use]
pub fn attendees(presences: Vec<Presences>, now: Option<Timestamp>) -> (u32, Vec<Attendee>) {
    let most = peak(presences.iter().flat_map(|one| one.intervals.iter().copied()));
    let row = |Presences { participant, intervals, sessions }: Presences| {
        let ((first_join, _), (_, last_leave)) = (*intervals.first()?, *intervals.last()?);
        let lengths = intervals.iter().filter_map(|(joined, left)| Some(length(*joined, left.or(now)?)));
        let present: Duration = lengths.sum();
        Some(Attendee { participant, first_join, last_leave, seconds_present: seconds(present), sessions })
    };
    let mut rows: Vec<Attendee> = presences.into_iter().filter_map(row).collect();
    rows.sort_by(|a, b| (a.first_join, &a.participant.name).cmp(&(b.first_join, &b.participant.name)));
    (most, rows)
}

fn length(joined: Timestamp, left: Timestamp) -> Duration {
    Duration::try_from(left.duration_since(joined)).unwrap_or(Duration::ZERO)
}

/// Returns the most people who were present at one time, given when each presence began and ended; one without an end goes on.
///
/// Intervals are half-open: leaving at t and joining at t do not overlap.
fn peak(presences: impl IntoIterator<Item = PresenceInterval>) -> u32 {
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
    use crate::model::{ParticipantKind, ParticipantName};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn participant(id: &str) -> ParticipantRef {
        ParticipantRef {
            name: ParticipantName::parse(&format!("conferenceRecords/c/participants/{id}")).unwrap(),
            kind: ParticipantKind::Anonymous,
            user: None,
            display_name: None,
            email: None,
            affiliation: None,
        }
    }

    #[test]
    fn an_open_interval_counts_up_to_now_and_rows_are_ordered_by_first_join() {
        let presences = |id: &str, intervals: &[(i64, Option<i64>)]| Presences {
            participant: participant(id),
            intervals: intervals.iter().map(|(joined, left)| (at(*joined), left.map(at))).collect(),
            sessions: 2,
        };
        let all = vec![
            presences("late", &[(5, Some(7)), (9, None)]),
            presences("early", &[(0, Some(6))]),
            presences("never", &[]),
        ];
        let (peak, rows) = attendees(all.clone(), Some(at(12)));
        assert_eq!(peak, 2);
        let shown =
            |row: &Attendee| (row.participant.name.clone(), row.first_join, row.last_leave, row.seconds_present);
        let expected =
            [(participant("early").name, at(0), Some(at(6)), 6.0), (participant("late").name, at(5), None, 5.0)];
        assert_eq!(rows.iter().map(shown).collect::<Vec<_>>(), expected);
        assert!((attendees(all, None).1[1].seconds_present - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn leaving_and_joining_at_one_instant_do_not_overlap() {
        assert_eq!(peak([(at(0), Some(at(5))), (at(5), Some(at(9)))]), 1);
        assert_eq!(peak([(at(0), Some(at(6))), (at(5), None)]), 2);
        assert_eq!(peak([]), 0);
    }
}
