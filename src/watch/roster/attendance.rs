//! Pure: the attendance of a conference that is over, computed from the joins and leaves that were emitted.

use std::time::Duration;

use super::Roster;
use super::facts::EmittedPresence;
use crate::clock::elapsed;
use crate::model::attendance::{MAX_ATTENDANCE_ROWS, peak, seconds};
use crate::model::{Attendance, AttendanceRow};

/// Returns the attendance of a conference whose every join has its leave.
#[must_use]
pub fn of(roster: &Roster) -> Attendance {
    let rows = rows(roster);
    let presences = roster.participants().values().flat_map(|person| &person.presences);
    let times = |presence: &EmittedPresence| {
        (presence.joined.emission.time, presence.left.as_ref().map(|left| left.emission.time))
    };
    Attendance {
        peak: peak(presences.map(times)),
        total: u32::try_from(rows.len()).unwrap_or(u32::MAX),
        participants: (rows.len() <= MAX_ATTENDANCE_ROWS).then_some(rows),
    }
}

/// Returns a row for everybody who joined and left, ordered by first join.
fn rows(roster: &Roster) -> Vec<AttendanceRow> {
    let mut rows: Vec<_> = roster
        .participants()
        .iter()
        .filter_map(|(name, person)| {
            let first = person.presences.first()?;
            let last = person.presences.iter().rev().find_map(|presence| presence.left.as_ref())?;
            let present: Duration = person.presences.iter().map(length).sum();
            Some(AttendanceRow {
                participant: person.reference(name),
                first_join: first.joined.emission.time,
                last_leave: last.emission.time,
                seconds_present: seconds(present),
                sessions: u32::try_from(person.sessions().len()).unwrap_or(u32::MAX),
            })
        })
        .collect();
    rows.sort_by(|a, b| (a.first_join, &a.participant.name).cmp(&(b.first_join, &b.participant.name)));
    rows
}

fn length(presence: &EmittedPresence) -> Duration {
    presence.left.as_ref().map_or(Duration::ZERO, |left| elapsed(presence.joined.emission.time, left.emission.time))
}
