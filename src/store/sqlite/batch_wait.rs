//! How long the head of a lane waits for others to fill its batch.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::endpoints;
use super::values::{nanos, time};
use crate::clock::saturating_add;
use crate::store::endpoint::Batching;
use crate::store::error::StoreError;

/// Lets the new head of a lane wait for others, if its endpoint takes batches.
pub(super) fn await_others(
    connection: &Connection,
    (endpoint, lane): (i64, i64),
    now: Timestamp,
) -> Result<(), StoreError> {
    match endpoints::batching_of(connection, endpoint)? {
        Some(batching) => await_more(connection, lane, batching, now),
        None => Ok(()),
    }
}

/// Lets the head of a lane wait for others, counted from its commit, unless the batch is full.
pub(super) fn await_more(
    connection: &Connection,
    lane: i64,
    batching: Batching,
    now: Timestamp,
) -> Result<(), StoreError> {
    let head = head_of(connection, lane)?.filter(|head| head.is_fresh);
    let Some(head) = head else { return Ok(()) };
    let waits_until = saturating_add(head.owed_at, batching.max_wait);
    // A commit time after now comes from a clock that was wrong.
    let due_at = nanos(waits_until.min(saturating_add(now, batching.max_wait))).max(head.due_at);
    connection.prepare_cached("UPDATE deliveries SET due_at = ?2 WHERE id = ?1")?.execute([head.delivery, due_at])?;
    send_if_full(connection, lane, batching, now)
}

/// Makes the head of a lane due if a full batch is there.
pub(super) fn send_if_full(
    connection: &Connection,
    lane: i64,
    batching: Batching,
    now: Timestamp,
) -> Result<(), StoreError> {
    let head = head_of(connection, lane)?.filter(|head| head.is_fresh && head.due_at > nanos(now));
    let Some(head) = head else { return Ok(()) };
    let mut statement = connection.prepare_cached(
        "SELECT coalesce(settle_until, 0) > ?2 FROM deliveries INDEXED BY deliveries_open
         WHERE lane = ?1 AND state IN ('pending', 'leased') ORDER BY position LIMIT ?3",
    )?;
    let mut rows = statement.query(params![lane, nanos(now), batching.max_events])?;
    let mut members = 0;
    while let Some(row) = rows.next()? {
        if row.get(0)? {
            return Ok(());
        }
        members += 1;
    }
    if members >= batching.max_events {
        connection
            .prepare_cached("UPDATE deliveries SET due_at = ?2 WHERE id = ?1")?
            .execute([head.delivery, nanos(now)])?;
    }
    Ok(())
}

/// The head of a lane: its first unfinished delivery.
struct LaneHead {
    delivery: i64,
    due_at: i64,
    owed_at: Timestamp,
    /// It is not leased, was never attempted, and was not replayed.
    is_fresh: bool,
}

fn head_of(connection: &Connection, lane: i64) -> Result<Option<LaneHead>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, due_at, owed_at, state = 'pending' AND attempts = 0 AND batch IS NULL AND replayed_at IS NULL
         FROM deliveries INDEXED BY deliveries_open
         WHERE lane = ?1 AND state IN ('pending', 'leased') ORDER BY position LIMIT 1",
    )?;
    let found = statement
        .query_row([lane], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get(3)?)))
        .optional()?;
    let Some((delivery, due_at, owed_at, is_fresh)) = found else { return Ok(None) };
    Ok(Some(LaneHead { delivery, due_at, owed_at: time(owed_at)?, is_fresh }))
}
