//! Settling: an endpoint can hold a leave back. If the person rejoins or the leave is taken back in that time, neither
//! the leave nor the event that undid it is sent to that endpoint.
//!
//! The receiver's picture stays consistent: it gets a leave and a rejoin, or neither. An event that later takes a
//! settled one back is settled too, and so is a late visit that lies between a settled leave and its rejoin.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::counters::CounterChange;
use super::lanes;
use super::log::Appended;
use super::values::nanos;
use crate::model::{EventType, ParticipantName};
use crate::store::error::StoreError;

/// The reason of a visit that lies between a settled leave and its rejoin.
const WITHIN: &str = "within_settled";

/// What a new delivery becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposition {
    Pending,
    /// Pending, and held back in case it undoes itself.
    Held,
    /// Never sent, for this reason.
    Settled(&'static str),
}

/// The endpoints where an event undid a held leave.
#[derive(Debug, Default)]
pub(super) struct Undone {
    endpoints: Vec<i64>,
    rejoined: bool,
}

impl Undone {
    /// Returns the endpoints if the event was a rejoin.
    pub(super) fn endpoints_of_rejoin(&self) -> impl Iterator<Item = i64> + '_ {
        self.endpoints.iter().copied().filter(|_| self.rejoined)
    }
}

/// Whether any endpoint settles at all.
pub(super) fn is_anywhere(connection: &Connection) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM endpoints WHERE settle > 0)")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// A leave that is held back. A leave that was ever claimed is not, even if the clock was set back: it may have
/// arrived.
struct HeldLeave {
    delivery: i64,
    endpoint: i64,
    lane: i64,
    position: i64,
    previous: Option<i64>,
    head: bool,
}

/// Settles the held leaves that this event undoes: it is a rejoin of the same person, or takes the leave back.
pub(super) fn undo(
    connection: &Connection,
    event: &Appended<'_>,
    now: Timestamp,
    changes: &mut BTreeMap<i64, CounterChange>,
) -> Result<Undone, StoreError> {
    let rejoined = event.takes_back.is_none() && event.event.event == EventType::ParticipantJoined;
    let held = match (event.takes_back, &event.event.participant) {
        (Some(earlier), _) => held_at(connection, event.conference, earlier, now)?,
        (None, Some(person)) if rejoined => held_of(connection, event, person, now)?,
        _ => Vec::new(),
    };
    let reason = match event.event.event {
        _ if rejoined => "rejoined",
        EventType::EventRetracted => "retracted",
        _ => "corrected",
    };
    for held in &held {
        settle(connection, held, reason, now)?;
        let change = changes.entry(held.endpoint).or_default();
        change.owed -= 1;
        change.settled += 1;
    }
    Ok(Undone { endpoints: held.into_iter().map(|held| held.endpoint).collect(), rejoined })
}

/// Returns the deliveries of the leave at a position that are held back.
fn held_at(
    connection: &Connection,
    conference: i64,
    position: i64,
    now: Timestamp,
) -> Result<Vec<HeldLeave>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT d.id, d.endpoint, d.lane, d.position, d.previous, d.head
         FROM lanes l CROSS JOIN deliveries d ON d.lane = l.id AND d.position = ?2
         WHERE l.conference = ?1 AND d.state = 'pending' AND d.claims = 0 AND d.batch IS NULL AND d.settle_until > ?3",
    )?;
    let held = statement.query_map([conference, position, nanos(now)], read_held)?.collect::<Result<_, _>>()?;
    Ok(held)
}

/// Returns the held deliveries of a person's leave that this rejoin undoes: there is no other join or leave of that
/// person between.
fn held_of(
    connection: &Connection,
    event: &Appended<'_>,
    person: &ParticipantName,
    now: Timestamp,
) -> Result<Vec<HeldLeave>, StoreError> {
    // With `max`, SQLite takes the other columns from the row that has the maximum.
    let mut statement = connection.prepare_cached(
        "SELECT d.id, d.endpoint, d.lane, d.position, d.previous, d.head, max(e.time)
         FROM lanes l
              CROSS JOIN deliveries d INDEXED BY deliveries_settling
                ON d.lane = l.id AND d.state = 'pending' AND d.settle_until IS NOT NULL
              CROSS JOIN events e ON e.position = d.position
         WHERE l.conference = ?1 AND e.participant = ?2 AND d.settle_until > ?3
               AND d.claims = 0 AND d.batch IS NULL AND e.time <= ?4
               AND NOT EXISTS (SELECT 1 FROM events b
                               WHERE b.conference = ?1 AND b.participant = ?2 AND b.taken_back_by IS NULL
                                     AND b.type IN ('participant.joined', 'participant.left') AND b.time > e.time
                                     AND b.time <= ?4 AND b.position <> ?5)
         GROUP BY d.lane",
    )?;
    let asked = params![event.conference, person.as_str(), nanos(now), nanos(event.event.time), event.position];
    let held = statement.query_map(asked, read_held)?.collect::<Result<_, _>>()?;
    Ok(held)
}

fn read_held(row: &rusqlite::Row<'_>) -> rusqlite::Result<HeldLeave> {
    Ok(HeldLeave {
        delivery: row.get(0)?,
        endpoint: row.get(1)?,
        lane: row.get(2)?,
        position: row.get(3)?,
        previous: row.get(4)?,
        head: row.get(5)?,
    })
}

fn settle(connection: &Connection, held: &HeldLeave, reason: &'static str, now: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE deliveries SET state = 'settled', head = 0, reason = ?2, finished_at = ?3 WHERE id = ?1",
        )?
        .execute(params![held.delivery, reason, nanos(now)])?;
    // The receiver never gets it: the next delivery follows the one before it.
    connection
        .prepare_cached(
            "UPDATE deliveries SET previous = ?3
             WHERE previous = ?2 AND id = (SELECT id FROM deliveries WHERE lane = ?1 AND position > ?2 AND state <> 'settled'
                                           ORDER BY position LIMIT 1)",
        )?
        .execute(params![held.lane, held.position, held.previous])?;
    connection
        .prepare_cached("UPDATE lanes SET last_position = ?3 WHERE id = ?1 AND last_position = ?2")?
        .execute(params![held.lane, held.position, held.previous])?;
    if held.head { lanes::advance(connection, held.lane, held.position, now) } else { Ok(()) }
}

/// Decides what the delivery of an event becomes on an endpoint, after [`undo`].
pub(super) fn disposition(
    connection: &Connection,
    event: &Appended<'_>,
    (endpoint, lane): (i64, i64),
    settle: Duration,
    undone: &Undone,
) -> Result<Disposition, StoreError> {
    let kind = event.event.event;
    let undoes = undone.endpoints.contains(&endpoint);
    if let Some(earlier) = event.takes_back {
        return match (undoes, kind) {
            // A held leave is corrected: the correction is held back in its place.
            (true, EventType::ParticipantLeft) if !settle.is_zero() => Ok(Disposition::Held),
            (true, EventType::EventRetracted) => Ok(Disposition::Settled("retracted")),
            (true, _) => Ok(Disposition::Pending),
            (false, _) => Ok(match why_settled(connection, lane, earlier)?.as_deref() {
                None => Disposition::Pending,
                Some(WITHIN) => Disposition::Settled(WITHIN),
                Some(_) => Disposition::Settled("settled_before"),
            }),
        };
    }
    if undoes {
        return Ok(Disposition::Settled("rejoined"));
    }
    let person = match kind {
        EventType::ParticipantJoined | EventType::ParticipantLeft if !settle.is_zero() => &event.event.participant,
        _ => return Ok(Disposition::Pending),
    };
    match person {
        Some(person) if is_between(connection, lane, person, event.event.time)? => Ok(Disposition::Settled(WITHIN)),
        _ if kind == EventType::ParticipantLeft => Ok(Disposition::Held),
        _ => Ok(Disposition::Pending),
    }
}

/// Returns why the event at a position was settled; `None` if it was not.
fn why_settled(connection: &Connection, lane: i64, position: i64) -> Result<Option<String>, StoreError> {
    let why = connection
        .prepare_cached("SELECT reason FROM deliveries WHERE lane = ?1 AND position = ?2 AND state = 'settled'")?
        .query_row([lane, position], |row| row.get(0))
        .optional()?;
    Ok(why)
}

/// Whether a time lies between a settled leave and rejoin of a person.
fn is_between(
    connection: &Connection,
    lane: i64,
    person: &ParticipantName,
    time: Timestamp,
) -> Result<bool, StoreError> {
    let before: Option<String> = connection
        .prepare_cached(
            "SELECT e.type FROM deliveries d INDEXED BY deliveries_settled CROSS JOIN events e ON e.position = d.position
             WHERE d.lane = ?1 AND d.state = 'settled' AND e.participant = ?2 AND e.taken_back_by IS NULL
                   AND e.type IN ('participant.joined', 'participant.left') AND e.time <= ?3
                   AND d.reason <> 'within_settled'
             ORDER BY e.time DESC, d.position DESC LIMIT 1",
        )?
        .query_row(params![lane, person.as_str(), nanos(time)], |row| row.get(0))
        .optional()?;
    Ok(before.as_deref() == Some(EventType::ParticipantLeft.as_str()))
}
