//! All SQL that settles: a leave that is held back on an endpoint, and what undoes it while it is, are both never sent there.
//!
//! On an endpoint that settles, the receiver's picture stays true: it hears of a leave and a return, or of neither. What
//! later takes a settled event back is settled too, and so is a visit that Google tells of late and that lies within a time in
//! which, for this receiver, nobody had left.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::endpoints::Change;
use super::error::StoreError;
use super::lanes;
use super::log::Appended;
use super::values::nanos;
use crate::model::{EventType, ParticipantName};

/// The reason of what lies within a time in which, for the receiver, nobody had left.
const WITHIN: &str = "within_settled";

/// What becomes of an event on one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Owed,
    /// Held back to see whether it undoes itself.
    Held,
    /// Never sent, for this reason.
    Settled(&'static str),
}

/// Where an event undid a leave that was held back, by endpoint.
#[derive(Debug, Default)]
pub(super) struct Undone {
    endpoints: Vec<i64>,
    rejoined: bool,
}

impl Undone {
    /// The endpoints where it was a return that undid it.
    pub(super) fn by_rejoining(&self) -> impl Iterator<Item = i64> + '_ {
        self.endpoints.iter().copied().filter(|_| self.rejoined)
    }
}

/// Whether any endpoint settles at all.
pub(super) fn is_anywhere(connection: &Connection) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM endpoints WHERE settle > 0)")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// A leave that is held back. Once it was claimed it is not, whatever a clock that was set back says: it may have arrived.
struct Held {
    delivery: i64,
    endpoint: i64,
    lane: i64,
    position: i64,
    previous: Option<i64>,
    head: bool,
}

/// Settles the leaves that this event undoes: it is a return of the same person, or takes the leave back.
pub(super) fn undo(
    connection: &Connection,
    event: &Appended<'_>,
    now: Timestamp,
    changes: &mut BTreeMap<i64, Change>,
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

/// The leave at a position, wherever it is held back.
fn held_at(connection: &Connection, conference: i64, position: i64, now: Timestamp) -> Result<Vec<Held>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT d.id, d.endpoint, d.lane, d.position, d.previous, d.head
         FROM lanes l CROSS JOIN deliveries d ON d.lane = l.id AND d.position = ?2
         WHERE l.conference = ?1 AND d.state = 'pending' AND d.claims = 0 AND d.batch IS NULL AND d.settle_until > ?3",
    )?;
    let held = statement.query_map([conference, position, nanos(now)], read_held)?.collect::<Result<_, _>>()?;
    Ok(held)
}

/// Where a person's leave is held back, if it is what this return undoes: nothing of theirs is known to lie between.
fn held_of(
    connection: &Connection,
    event: &Appended<'_>,
    person: &ParticipantName,
    now: Timestamp,
) -> Result<Vec<Held>, StoreError> {
    // With `max`, the other columns are those of the row that has it.
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

fn read_held(row: &rusqlite::Row<'_>) -> rusqlite::Result<Held> {
    Ok(Held {
        delivery: row.get(0)?,
        endpoint: row.get(1)?,
        lane: row.get(2)?,
        position: row.get(3)?,
        previous: row.get(4)?,
        head: row.get(5)?,
    })
}

fn settle(connection: &Connection, held: &Held, reason: &'static str, now: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE deliveries SET state = 'settled', head = 0, reason = ?2, finished_at = ?3 WHERE id = ?1",
        )?
        .execute(params![held.delivery, reason, nanos(now)])?;
    // For the receiver it was never there: what came after it comes after what was before it.
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

/// What becomes of an event on an endpoint, after [`undo`].
pub(super) fn fate(
    connection: &Connection,
    event: &Appended<'_>,
    (endpoint, lane): (i64, i64),
    settle: Duration,
    undone: &Undone,
) -> Result<Fate, StoreError> {
    let kind = event.event.event;
    let undoes = undone.endpoints.contains(&endpoint);
    if let Some(earlier) = event.takes_back {
        return match (undoes, kind) {
            // A leave that was held back is told in other words: these are held back in its stead.
            (true, EventType::ParticipantLeft) if !settle.is_zero() => Ok(Fate::Held),
            (true, EventType::EventRetracted) => Ok(Fate::Settled("retracted")),
            (true, _) => Ok(Fate::Owed),
            (false, _) => Ok(match why_settled(connection, lane, earlier)?.as_deref() {
                None => Fate::Owed,
                Some(WITHIN) => Fate::Settled(WITHIN),
                Some(_) => Fate::Settled("settled_before"),
            }),
        };
    }
    if undoes {
        return Ok(Fate::Settled("rejoined"));
    }
    let person = match kind {
        EventType::ParticipantJoined | EventType::ParticipantLeft if !settle.is_zero() => &event.event.participant,
        _ => return Ok(Fate::Owed),
    };
    match person {
        Some(person) if is_between(connection, lane, person, event.event.time)? => Ok(Fate::Settled(WITHIN)),
        _ if kind == EventType::ParticipantLeft => Ok(Fate::Held),
        _ => Ok(Fate::Owed),
    }
}

/// Why the event at a position was settled; `None` where it was not.
fn why_settled(connection: &Connection, lane: i64, position: i64) -> Result<Option<String>, StoreError> {
    let why = connection
        .prepare_cached("SELECT reason FROM deliveries WHERE lane = ?1 AND position = ?2 AND state = 'settled'")?
        .query_row([lane, position], |row| row.get(0))
        .optional()?;
    Ok(why)
}

/// Whether a time lies between a person's leave and return that were settled.
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
