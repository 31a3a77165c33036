//! Lanes: the deliveries of one conference on one endpoint, which arrive in order.
//!
//! The *head* of a lane is the delivery that may be sent next; only heads can be due. On an endpoint without order
//! every delivery is a head.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::batch_wait;
use super::values::nanos;
use crate::store::error::StoreError;

/// Returns the lane of a conference on an endpoint, created if there is none, and the position of its last event.
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

/// Whether a lane has no unfinished delivery.
pub(super) fn is_idle(connection: &Connection, lane: i64) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT NOT EXISTS (SELECT 1 FROM deliveries INDEXED BY deliveries_open
                            WHERE lane = ?1 AND state IN ('pending', 'leased'))",
    )?;
    Ok(statement.query_row([lane], |row| row.get(0))?)
}

/// Makes the next delivery of a lane its head, after the one at `position` was finished: the next of a run that is
/// being sent, or else the first unfinished one.
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
        return batch_wait::await_others(connection, (endpoint, lane), now);
    }
    Ok(())
}

fn read_next(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, bool, bool)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

/// Moves the head's next attempt forward to the end of its hold: it was scheduled later while no delivery waited behind
/// it.
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

/// Decides whether a replayed delivery becomes the head of its lane. A head that is later in the lane and not being
/// sent is demoted for it.
pub(super) fn claim_head(connection: &Connection, endpoint: i64, lane: i64, position: i64) -> Result<bool, StoreError> {
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

/// Makes every unfinished delivery of an endpoint a head, or only the first of each lane.
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
