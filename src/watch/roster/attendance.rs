//! Pure: who was there, how long, and how many at most.

use std::time::Duration;

use super::Roster;
use super::emit::seconds;
use super::facts::EmittedPresence;
use crate::clock::elapsed;
use crate::model::event::MAX_ATTENDANCE_ROWS;
use crate::model::{Attendance, AttendanceRow};

/// The attendance of a conference that is over, by what was told.
#[must_use]
pub fn of(roster: &Roster) -> Attendance {
    let rows = rows(roster);
    Attendance {
        peak: peak(roster),
        total: u32::try_from(rows.len()).unwrap_or(u32::MAX),
        participants: (rows.len() <= MAX_ATTENDANCE_ROWS).then_some(rows),
    }
}

/// A row for everybody who joined and left, by first join.
#[must_use]
pub fn rows(roster: &Roster) -> Vec<AttendanceRow> {
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

/// The most people at one time. Who leaves at the instant at which another joins was not there with them.
fn peak(roster: &Roster) -> u32 {
    let presences = roster.participants().values().flat_map(|person| &person.presences);
    let mut edges: Vec<_> = presences
        .flat_map(|presence| {
            let left = presence.left.as_ref().map(|left| (left.emission.time, -1));
            [Some((presence.joined.emission.time, 1)), left].into_iter().flatten()
        })
        .collect();
    edges.sort_unstable();
    let (_, peak) = edges.into_iter().fold((0_i64, 0), |(now, peak), (_, step)| (now + step, peak.max(now + step)));
    u32::try_from(peak).unwrap_or_default()
}

fn length(presence: &EmittedPresence) -> Duration {
    presence.left.as_ref().map_or(Duration::ZERO, |left| elapsed(presence.joined.emission.time, left.emission.time))
}
