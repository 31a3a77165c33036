//! All SQL that deletes what is old, and what the store remembers of the clock for its sake.
//!
//! A conference goes whole, once it is closed, nothing of it is owed, and nothing of it is younger than the cutoff: neither
//! its end, nor its last event, nor the outcome of any of its deliveries, dead ones included. It goes in small steps, its
//! row last and together with its tombstone, so that a step that is never followed by another leaves nothing that could
//! be told again. Events of no conference go one by one, under the same rule.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::delivery::DeliveryState;
use super::endpoints::{self, Change};
use super::error::StoreError;
use super::facts::NO_CONFERENCE;
use super::retention::{ClockDoubt, Marks, weigh};
use super::values::{nanos, optional_time};
use crate::clock::Now;

/// One step of a pass through all that may be old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PruneRequest {
    /// What is younger stays.
    pub cutoff: Timestamp,
    /// Tombstones that are younger stay.
    pub forget: Timestamp,
    /// Where the last step ended.
    pub from: PruneCursor,
    /// How many rows one step deletes, and how many it passes by, at most. What hangs on the last of them comes on top: a
    /// delivery's attempts, a conference's lanes, and the deliveries of an event of no conference.
    pub rows: u32,
}

/// How far a pass has come. Begins with [`PruneCursor::START`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PruneCursor {
    /// After the closed conference that ended then and has this number. `begun`: the next is being deleted already.
    Conferences {
        end: i64,
        id: i64,
        begun: bool,
    },
    /// After the event of no conference at this position.
    Alone {
        position: i64,
    },
    Tombstones,
    /// Giving empty pages back to the file system.
    Pages,
}

impl PruneCursor {
    /// Where a pass begins.
    pub const START: Self = Self::Conferences { end: i64::MIN, id: 0, begun: false };
}

/// What a step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Rows that are gone, without attempts and lanes.
    pub rows: u32,
    /// Where to go on; `None` when the pass is over.
    pub next: Option<PruneCursor>,
}

/// Empty pages are kept for what is written next, unless they are more than a quarter of the file.
const SPARE: i64 = 4;
/// A file with fewer pages is not worth the work.
const SMALL: i64 = 1024;
/// How many pages one step gives back at most.
const PAGES: i64 = 256;

/// Takes one step.
pub(super) fn step(connection: &Connection, request: &PruneRequest, now: Timestamp) -> Result<Pruned, StoreError> {
    match request.from {
        PruneCursor::Conferences { end, id, begun } => conferences(connection, request, (end, id), begun, now),
        PruneCursor::Alone { position } => alone(connection, request, position),
        PruneCursor::Tombstones => {
            let rows = delete(
                connection,
                "DELETE FROM tombstones WHERE conference IN
                     (SELECT conference FROM tombstones WHERE deleted_at < ?1 LIMIT ?2)",
                nanos(request.forget),
                request.rows,
            )?;
            Ok(Pruned {
                rows,
                next: Some(if rows < request.rows { PruneCursor::Pages } else { PruneCursor::Tombstones }),
            })
        }
        PruneCursor::Pages => give_back(connection),
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
            return Ok(Pruned { rows, next: Some(PruneCursor::Alone { position: 0 }) });
        };
        // What is cheap to know comes first: whoever receives nothing for long keeps much that is passed by each time.
        let goes = !is_owed(connection, candidate.1)? && (begun || is_old(connection, candidate.1, request.cutoff)?);
        if goes {
            let (deleted, whole) = delete_some(connection, candidate.1, request.rows - rows, now)?;
            rows += deleted;
            if !whole {
                // The next step goes on with the same one.
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

fn is_owed(connection: &Connection, conference: i64) -> Result<bool, StoreError> {
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

/// Deletes up to so many rows of a conference: what depends on others first, its own row last. Says how many, and whether
/// that was all.
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

/// Deletes the deliveries that a query names, with their attempts, and keeps the counters.
fn deliveries(connection: &Connection, query: &'static str, of: i64, limit: u32) -> Result<u32, StoreError> {
    let found: Vec<(i64, i64, String)> = connection
        .prepare_cached(query)?
        .query_map(params![of, limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let mut changes: BTreeMap<i64, Change> = BTreeMap::new();
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
            // What is owed is not deleted, and what arrived is not counted.
            Some(DeliveryState::Pending | DeliveryState::Leased | DeliveryState::Done) | None => {}
        }
    }
    for (endpoint, change) in changes {
        endpoints::count(connection, endpoint, change)?;
    }
    Ok(u32::try_from(found.len()).unwrap_or(u32::MAX))
}

fn delete(connection: &Connection, sql: &'static str, of: i64, limit: u32) -> Result<u32, StoreError> {
    let deleted = connection.prepare_cached(sql)?.execute(params![of, limit])?;
    Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
}

/// Events of no conference, which nothing else depends on.
fn alone(connection: &Connection, request: &PruneRequest, after: i64) -> Result<Pruned, StoreError> {
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
        Some((position, _)) => PruneCursor::Alone { position: *position },
        None => PruneCursor::Tombstones,
    };
    Ok(Pruned { rows, next: Some(next) })
}

fn give_back(connection: &Connection) -> Result<Pruned, StoreError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (pages, free) = (pragma("page_count")?, pragma("freelist_count")?);
    if pages < SMALL || free <= pages / SPARE {
        return Ok(Pruned::default());
    }
    let number = PAGES.min(free - pages / SPARE);
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({number})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    drop(rows);
    // A store that was made without room for this gives nothing back.
    let some = pragma("freelist_count")? < free;
    Ok(Pruned { rows: 0, next: some.then_some(PruneCursor::Pages) })
}

const SEEN: &str = "clock_seen";
const WAIT: &str = "prune_wait_until";

/// Weighs the clock against what the store remembers of it, and remembers what it says now.
pub(super) fn weigh_clock(
    connection: &Connection,
    looked: Option<Now>,
    now: Now,
) -> Result<Option<ClockDoubt>, StoreError> {
    let marks = Marks { seen: mark(connection, SEEN)?, wait_until: mark(connection, WAIT)? };
    let newest: Option<i64> = connection
        .prepare_cached("SELECT observed_at FROM events ORDER BY position DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let (marks, doubt) = weigh(marks, looked, optional_time(newest)?, now);
    set_mark(connection, SEEN, marks.seen)?;
    set_mark(connection, WAIT, marks.wait_until)?;
    Ok(doubt)
}

fn mark(connection: &Connection, key: &'static str) -> Result<Option<Timestamp>, StoreError> {
    let text: Option<String> = connection
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    text.map(|text| text.parse().map_err(|_| StoreError::Unreadable(key))).transpose()
}

fn set_mark(connection: &Connection, key: &'static str, time: Option<Timestamp>) -> Result<(), StoreError> {
    match time {
        Some(time) => connection
            .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
            .execute(params![key, time.to_string()])?,
        None => connection.prepare_cached("DELETE FROM meta WHERE key = ?1")?.execute([key])?,
    };
    Ok(())
}
