//! Deletes what is older than the retention.
//!
//! A conference is deleted whole, once it is closed, has no unfinished delivery, and nothing of it is younger than the
//! cutoff: neither its end, nor its last event, nor the end of any of its deliveries, dead ones included. It is deleted
//! in small steps, its row last and together with a new tombstone: if the steps stop half way, no event can be emitted
//! twice. Events without a conference are deleted one by one, under the same rule.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::conference_numbers::NO_CONFERENCE;
use super::counters::{self, CounterChange};
use super::values::nanos;
use crate::store::error::StoreError;
use crate::store::outbox::DeliveryState;
use crate::store::prune::{PruneCursor, PruneRequest, Pruned};

/// Up to this part of the file (one in four pages), empty pages are kept for later writes.
const SPARE_PART: i64 = 4;
/// A file with fewer pages is not shrunk.
const SMALLEST: i64 = 1024;
/// The most pages that one step returns to the file system.
const PAGES: i64 = 256;

/// Takes one step of a pass.
pub(super) fn step(connection: &Connection, request: &PruneRequest, now: Timestamp) -> Result<Pruned, StoreError> {
    match request.from {
        PruneCursor::Conferences { end, id, begun } => conferences(connection, request, (end, id), begun, now),
        PruneCursor::LoneEvents { position } => lone_events(connection, request, position),
        PruneCursor::Tombstones => {
            let rows = delete(
                connection,
                "DELETE FROM tombstones WHERE conference IN
                     (SELECT conference FROM tombstones WHERE deleted_at < ?1 LIMIT ?2)",
                nanos(request.tombstone_cutoff),
                request.rows,
            )?;
            Ok(Pruned {
                rows,
                next: Some(if rows < request.rows { PruneCursor::Pages } else { PruneCursor::Tombstones }),
            })
        }
        PruneCursor::Pages => shrink(connection),
    }
}

fn conferences(
    connection: &Connection,
    request: &PruneRequest,
    mut after: (i64, i64),
    mut begun: bool,
    now: Timestamp,
) -> Result<Pruned, StoreError> {
    let mut next = connection.prepare_cached(
        r#"SELECT "end", id FROM conferences INDEXED BY conferences_closed
           WHERE phase = 'closed' AND ("end", id) > (?1, ?2) AND "end" < ?3 ORDER BY "end", id LIMIT 1"#,
    )?;
    let mut rows = 0;
    for _ in 0..request.rows {
        let found = next
            .query_row(params![after.0, after.1, nanos(request.cutoff)], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some(candidate) = found else {
            return Ok(Pruned { rows, next: Some(PruneCursor::LoneEvents { position: 0 }) });
        };
        // The cheap check comes first: an endpoint that is down for long keeps many conferences that each pass skips.
        let deletable = !has_unfinished_deliveries(connection, candidate.1)?
            && (begun || is_old(connection, candidate.1, request.cutoff)?);
        if deletable {
            let (deleted, whole) = delete_some(connection, candidate.1, request.rows - rows, now)?;
            rows += deleted;
            if !whole {
                // The next step continues with the same conference.
                return Ok(Pruned {
                    rows,
                    next: Some(PruneCursor::Conferences { end: after.0, id: after.1, begun: true }),
                });
            }
        }
        (after, begun) = (candidate, false);
        if rows >= request.rows {
            break;
        }
    }
    Ok(Pruned { rows, next: Some(PruneCursor::Conferences { end: after.0, id: after.1, begun: false }) })
}

fn has_unfinished_deliveries(connection: &Connection, conference: i64) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM lanes l CROSS JOIN deliveries d INDEXED BY deliveries_open ON d.lane = l.id
                            WHERE l.conference = ?1 AND d.state IN ('pending', 'leased'))",
    )?;
    Ok(statement.query_row([conference], |row| row.get(0))?)
}

fn is_old(connection: &Connection, conference: i64, cutoff: Timestamp) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT coalesce((SELECT observed_at < ?2 FROM events WHERE conference = ?1 AND sequence IS NOT NULL
                          ORDER BY sequence DESC LIMIT 1), 1)
            AND NOT EXISTS (SELECT 1 FROM lanes l CROSS JOIN deliveries d ON d.lane = l.id
                            WHERE l.conference = ?1 AND d.finished_at >= ?2)",
    )?;
    Ok(statement.query_row(params![conference, nanos(cutoff)], |row| row.get(0))?)
}

/// Deletes up to `limit` rows of a conference: dependent rows first, its own row last. Returns how many, and whether
/// the conference is gone.
fn delete_some(
    connection: &Connection,
    conference: i64,
    limit: u32,
    now: Timestamp,
) -> Result<(u32, bool), StoreError> {
    const PARTS: [&str; 3] = [
        "DELETE FROM events WHERE position IN
             (SELECT position FROM events WHERE conference = ?1 AND sequence IS NOT NULL ORDER BY sequence LIMIT ?2)",
        "DELETE FROM sessions WHERE conference = ?1 AND name IN
             (SELECT name FROM sessions WHERE conference = ?1 LIMIT ?2)",
        "DELETE FROM participants WHERE conference = ?1 AND name IN
             (SELECT name FROM participants WHERE conference = ?1 LIMIT ?2)",
    ];
    let owed = "SELECT d.id, d.endpoint, d.state FROM lanes l CROSS JOIN deliveries d ON d.lane = l.id
                WHERE l.conference = ?1 LIMIT ?2";
    let mut rows = deliveries(connection, owed, conference, limit)?;
    if rows < limit {
        connection.prepare_cached("DELETE FROM lanes WHERE conference = ?1")?.execute([conference])?;
    }
    for part in PARTS {
        if rows < limit {
            rows += delete(connection, part, conference, limit - rows)?;
        }
    }
    let whole = rows < limit;
    if whole {
        connection
            .prepare_cached(
                "INSERT INTO tombstones (conference, deleted_at) SELECT name, ?2 FROM conferences WHERE id = ?1
                 ON CONFLICT (conference) DO UPDATE SET deleted_at = excluded.deleted_at",
            )?
            .execute(params![conference, nanos(now)])?;
        rows += delete(connection, "DELETE FROM conferences WHERE id = ?1 AND ?2 > 0", conference, 1)?;
    }
    Ok((rows, whole))
}

/// Deletes the deliveries that a query selects, with their attempts, and updates the counters.
fn deliveries(connection: &Connection, query: &'static str, of: i64, limit: u32) -> Result<u32, StoreError> {
    let found: Vec<(i64, i64, String)> = connection
        .prepare_cached(query)?
        .query_map(params![of, limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let mut changes: BTreeMap<i64, CounterChange> = BTreeMap::new();
    let mut attempts = connection.prepare_cached("DELETE FROM attempts WHERE delivery = ?1")?;
    let mut delivery = connection.prepare_cached("DELETE FROM deliveries WHERE id = ?1")?;
    for (id, endpoint, state) in &found {
        attempts.execute([id])?;
        delivery.execute([id])?;
        let change = changes.entry(*endpoint).or_default();
        match DeliveryState::parse(state) {
            Some(DeliveryState::Dead) => change.dead -= 1,
            Some(DeliveryState::Expired) => change.expired -= 1,
            Some(DeliveryState::Settled) => change.settled -= 1,
            // Unfinished deliveries are not deleted, and arrived ones are not counted.
            Some(DeliveryState::Pending | DeliveryState::Leased | DeliveryState::Done) | None => {}
        }
    }
    for (endpoint, change) in changes {
        counters::add(connection, endpoint, change)?;
    }
    Ok(u32::try_from(found.len()).unwrap_or(u32::MAX))
}

fn delete(connection: &Connection, sql: &'static str, of: i64, limit: u32) -> Result<u32, StoreError> {
    let deleted = connection.prepare_cached(sql)?.execute(params![of, limit])?;
    Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
}

/// Deletes events without a conference.
fn lone_events(connection: &Connection, request: &PruneRequest, after: i64) -> Result<Pruned, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT e.position, e.observed_at < ?2
                AND NOT EXISTS (SELECT 1 FROM lanes l CROSS JOIN deliveries d ON d.lane = l.id AND d.position = e.position
                                WHERE l.conference = ?4 AND (d.state IN ('pending', 'leased') OR d.finished_at >= ?2))
         FROM events e INDEXED BY events_alone
         WHERE e.conference = 0 AND e.position > ?1 ORDER BY e.position LIMIT ?3",
    )?;
    let passed: Vec<(i64, bool)> = statement
        .query_map(params![after, nanos(request.cutoff), request.rows, NO_CONFERENCE], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    let owed = "SELECT d.id, d.endpoint, d.state
                FROM lanes l CROSS JOIN deliveries d ON d.lane = l.id AND d.position = ?1
                WHERE l.conference = 0 LIMIT ?2";
    let (mut rows, mut handled) = (0, 0);
    for (position, is_old) in &passed {
        if rows >= request.rows {
            break;
        }
        if *is_old {
            rows += deliveries(connection, owed, *position, u32::MAX)?;
            rows += delete(connection, "DELETE FROM events WHERE position = ?1 AND ?2 > 0", *position, 1)?;
        }
        handled += 1;
    }
    let next = match passed.get(..handled).and_then(<[_]>::last) {
        Some((position, _)) => PruneCursor::LoneEvents { position: *position },
        None => PruneCursor::Tombstones,
    };
    Ok(Pruned { rows, next: Some(next) })
}

/// Returns empty pages to the file system.
fn shrink(connection: &Connection) -> Result<Pruned, StoreError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (pages, free) = (pragma("page_count")?, pragma("freelist_count")?);
    if pages < SMALLEST || free <= pages / SPARE_PART {
        return Ok(Pruned::default());
    }
    let number = PAGES.min(free - pages / SPARE_PART);
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({number})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    drop(rows);
    // A file created without `auto_vacuum` cannot shrink.
    let shrunk = pragma("freelist_count")? < free;
    Ok(Pruned { rows: 0, next: shrunk.then_some(PruneCursor::Pages) })
}
