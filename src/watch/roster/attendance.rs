//! Pure: the attendance of a conference that is over, computed from the joins and leaves that were emitted.

use super::Roster;
use super::facts::EmittedPresence;
use crate::model::attendance::{Attendee, MAX_ATTENDANCE_ROWS, PresenceInterval, Presences, attendees};
use crate::model::{Attendance, AttendanceRow};

/// Returns the attendance of a conference whose every join has its leave.
#[must_use]
pub fn of(roster: &Roster) -> Attendance {
    let presences = roster.participants().iter().map(|(name, person)| Presences {
        participant: person.reference(name),
        intervals: person.presences.iter().map(interval).collect(),
        sessions: u32::try_from(person.sessions().len()).unwrap_or(u32::MAX),
    });
    let (peak, attendees) = attendees(presences.collect(), None);
    let rows: Vec<AttendanceRow> = attendees.into_iter().filter_map(row).collect();
    Attendance {
        peak,
        total: u32::try_from(rows.len()).unwrap_or(u32::MAX),
        participants: (rows.len() <= MAX_ATTENDANCE_ROWS).then_some(rows),
    }
}

fn interval(presence: &EmittedPresence) -> PresenceInterval {
    (presence.joined.emission.time, presence.left.as_ref().map(|left| left.emission.time))
}

fn row(attendee: Attendee) -> Option<AttendanceRow> {
    let Attendee { participant, first_join, last_leave, seconds_present, sessions } = attendee;
    Some(AttendanceRow { participant, first_join, last_leave: last_leave?, seconds_present, sessions })
}
