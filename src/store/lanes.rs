//! All SQL about lanes: what has to arrive in order, and whose turn it is.
//!
//! The *head* of a lane is the delivery whose turn it is; only heads can be due. Where an endpoint does not ask for order,
//! every delivery is a head.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::batch;
use super::error::StoreError;
use super::values::nanos;

/// The lane of a conference on an endpoint, made where there is none, and the event that was owed last in it.
pub(super) fn of(connection: &Connection, endpoint: i64, conference: i64) -> Result<(i64, Option<i64>), StoreError> {
    let found = connection
        .prepare_cached("SELECT id, last_position FROM lanes WHERE conference = ?1 AND endpoint = ?2")?
        .query_row([conference, endpoint], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some(found) = found {
        return Ok(found);
    }
    connection
        .prepare_cached("INSERT INTO lanes (endpoint, conference) VALUES (?1, ?2)")?
        .execute([endpoint, conference])?;
    Ok((connection.last_insert_rowid(), None))
}

/// Whether a lane owes nothing.
pub(super) fn is_idle(connection: &Connection, lane: i64) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT NOT EXISTS (SELECT 1 FROM deliveries INDEXED BY deliveries_open
                            WHERE lane = ?1 AND state IN ('pending', 'leased'))",
    )?;
    Ok(statement.query_row([lane], |row| row.get(0))?)
}

/// Gives the next of a lane its turn, after the one at `position` came to its end: the next of a run that is being sent,
/// or else the first that is owed.
pub(super) fn advance(connection: &Connection, lane: i64, position: i64, now: Timestamp) -> Result<(), StoreError> {
    let next = connection
        .prepare_cached(
            "SELECT id, head, state = 'leased' FROM deliveries INDEXED BY deliveries_open
             WHERE lane = ?1 AND position > ?2 AND state IN ('pending', 'leased') ORDER BY position LIMIT 1",
        )?
        .query_row([lane, position], read_next)
        .optional()?;
    let leased = next.filter(|(_, _, leased)| *leased);
    let next = match leased {
        Some(leased) => Some(leased),
        None => connection
            .prepare_cached(
                "SELECT id, head, state = 'leased' FROM deliveries INDEXED BY deliveries_open
                 WHERE lane = ?1 AND state IN ('pending', 'leased') ORDER BY position LIMIT 1",
            )?
            .query_row([lane], read_next)
            .optional()?,
    };
    if let Some((next, false, _)) = next {
        let endpoint = connection
            .prepare_cached("UPDATE deliveries SET head = 1 WHERE id = ?1 RETURNING endpoint")?
            .query_row([next], |row| row.get(0))?;
        return batch::await_others(connection, (endpoint, lane), now);
    }
    Ok(())
}

fn read_next(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, bool, bool)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

/// The head's next attempt may have been put off beyond its hold because nobody waited; now somebody does.
pub(super) fn hurry_head(connection: &Connection, lane: i64, now: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE deliveries SET due_at = max(?2, hold_until)
             WHERE id = (SELECT id FROM deliveries INDEXED BY deliveries_open
                         WHERE lane = ?1 AND state IN ('pending', 'leased') ORDER BY position LIMIT 1)
                   AND state = 'pending' AND due_at > max(?2, hold_until)",
        )?
        .execute([lane, nanos(now)])?;
    Ok(())
}

/// Whether a delivery that comes back into a lane has its turn at once: the head gives way where it is later and nobody is
/// sending it.
pub(super) fn makes_way(connection: &Connection, endpoint: i64, lane: i64, position: i64) -> Result<bool, StoreError> {
    let ordered: bool = connection
        .prepare_cached("SELECT ordered FROM endpoints WHERE id = ?1")?
        .query_row([endpoint], |row| row.get(0))?;
    if !ordered || is_idle(connection, lane)? {
        return Ok(true);
    }
    let demoted = connection
        .prepare_cached(
            "UPDATE deliveries SET head = 0 WHERE id = (
                SELECT id FROM deliveries INDEXED BY deliveries_open
                WHERE lane = ?1 AND state IN ('pending', 'leased') ORDER BY position LIMIT 1)
             AND head = 1 AND state = 'pending' AND position > ?2",
        )?
        .execute([lane, position])?;
    Ok(demoted > 0)
}

/// Makes every delivery of an endpoint a head, or only the first of each lane.
pub(super) fn set_heads(connection: &Connection, endpoint: i64, ordered: bool) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE deliveries SET head = ?2 OR position = (
                SELECT min(o.position) FROM deliveries o INDEXED BY deliveries_open
                WHERE o.lane = deliveries.lane AND o.state IN ('pending', 'leased'))
             WHERE endpoint = ?1 AND state IN ('pending', 'leased')",
        )?
        .execute(params![endpoint, !ordered])?;
    Ok(())
}
