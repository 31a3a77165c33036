//! All SQL about endpoints as such: whether they are on, and how much they are owed.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::breaker;
use super::delivery::{EndpointSummary, StoredBreaker};
use super::error::StoreError;
use super::repair::Batching;
use super::values::{nanos, optional_time_at, parse_at};
use crate::model::EndpointName;

const KEPT_HOURS: i64 = 72;

/// The endpoint's number; an endpoint that was never heard of gets one, and is on.
pub(super) fn number_of(connection: &Connection, name: &EndpointName) -> Result<i64, StoreError> {
    let found = connection
        .prepare_cached("SELECT id FROM endpoints WHERE name = ?1")?
        .query_row([name.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(number) = found {
        return Ok(number);
    }
    connection.prepare_cached("INSERT INTO endpoints (name) VALUES (?1)")?.execute([name.as_str()])?;
    Ok(connection.last_insert_rowid())
}

/// What decides about an endpoint's deliveries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) on: bool,
    pub(super) ordered: bool,
    pub(super) settle: Duration,
    pub(super) max_age: Option<Duration>,
    pub(super) breaker: StoredBreaker,
    /// What goes together; `None` where each goes alone.
    pub(super) batching: Option<Batching>,
}

pub(super) fn rules_of(connection: &Connection, endpoint: i64) -> Result<Rules, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT state = 'on' AS enabled, ordered, settle, max_age, max_events, max_wait, breaker, trouble_since, probe_at, probes
         FROM endpoints WHERE id = ?1",
    )?;
    let mut rows = statement.query([endpoint])?;
    let row = rows.next()?.ok_or(StoreError::Unreadable("an endpoint without a row"))?;
    let ordered = row.get("ordered")?;
    let max_wait = length(row.get("max_wait")?);
    // A batch is in order: where order does not matter there is none.
    let max_events = row.get::<_, Option<u32>>("max_events")?.filter(|_| ordered);
    Ok(Rules {
        on: row.get("enabled")?,
        ordered,
        batching: max_events.map(|max_events| Batching { max_events, max_wait }),
        settle: length(row.get("settle")?),
        max_age: row.get::<_, Option<i64>>("max_age")?.map(length),
        breaker: breaker::read(row)?,
    })
}

/// What goes together on an endpoint.
pub(super) fn batching_of(connection: &Connection, endpoint: i64) -> Result<Option<Batching>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT max_events, max_wait FROM endpoints WHERE id = ?1 AND ordered AND max_events IS NOT NULL",
    )?;
    let read = |row: &Row<'_>| Ok(Batching { max_events: row.get(0)?, max_wait: length(row.get(1)?) });
    Ok(statement.query_row([endpoint], read).optional()?)
}

fn length(nanos: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

/// Notes how so many attempts fared in this hour. Hours of three days are kept.
pub(super) fn note_attempts(
    connection: &Connection,
    endpoint: i64,
    (arrived, failed): (i64, i64),
    now: Timestamp,
) -> Result<(), StoreError> {
    let hour = now.as_second().div_euclid(3600);
    let noted = connection
        .prepare_cached(
            "UPDATE attempt_hours SET arrived = arrived + ?3, failed = failed + ?4 WHERE endpoint = ?1 AND hour = ?2",
        )?
        .execute([endpoint, hour, arrived, failed])?;
    if noted == 0 {
        connection
            .prepare_cached("INSERT INTO attempt_hours (endpoint, hour, arrived, failed) VALUES (?1, ?2, ?3, ?4)")?
            .execute([endpoint, hour, arrived, failed])?;
        connection
            .prepare_cached("DELETE FROM attempt_hours WHERE endpoint = ?1 AND hour < ?2")?
            .execute([endpoint, hour - KEPT_HOURS])?;
    }
    Ok(())
}

/// Switches an endpoint off. What it is owed stays owed.
pub(super) fn switch_off(
    connection: &Connection,
    endpoint: i64,
    reason: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE endpoints SET state = 'off', state_since = ?2, state_reason = ?3 WHERE id = ?1 AND state = 'on'",
        )?
        .execute(params![endpoint, nanos(now), reason])?;
    Ok(())
}

/// Switches an endpoint on again; what it is owed is sent.
pub(super) fn switch_on(connection: &Connection, endpoint: i64, now: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE endpoints SET state = 'on', state_since = ?2, state_reason = NULL WHERE id = ?1 AND state = 'off'",
        )?
        .execute([endpoint, nanos(now)])?;
    Ok(())
}

/// By how much an endpoint's counters change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) owed: i64,
    pub(super) dead: i64,
    pub(super) expired: i64,
    pub(super) settled: i64,
}

/// Keeps the counters.
pub(super) fn count(connection: &Connection, endpoint: i64, change: Change) -> Result<(), StoreError> {
    if change == Change::default() {
        return Ok(());
    }
    connection
        .prepare_cached(
            "UPDATE endpoints SET owed = owed + ?2, dead = dead + ?3, expired = expired + ?4, settled = settled + ?5
             WHERE id = ?1",
        )?
        .execute([endpoint, change.owed, change.dead, change.expired, change.settled])?;
    Ok(())
}

/// How every endpoint fares that was ever owed anything, by name.
pub(super) fn summary(connection: &Connection) -> Result<Vec<EndpointSummary>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT name, state = 'on' AS enabled, state_since, state_reason, configured, breaker, trouble_since, probe_at,
                probes, owed, dead, expired, settled,
                (SELECT min(owed_at) FROM deliveries INDEXED BY deliveries_oldest WHERE endpoint = e.id AND head = 1)
                    AS oldest
         FROM endpoints e ORDER BY name",
    )?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let count = |column: &str| Ok::<_, StoreError>(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0));
        all.push(EndpointSummary {
            endpoint: parse_at(row, "name", EndpointName::parse)?,
            enabled: row.get("enabled")?,
            since: optional_time_at(row, "state_since")?,
            reason: row.get("state_reason")?,
            orphaned: !row.get::<_, bool>("configured")?,
            breaker: breaker::read(row)?,
            pending: count("owed")?,
            dead: count("dead")?,
            expired: count("expired")?,
            settled: count("settled")?,
            oldest_pending: optional_time_at(row, "oldest")?,
        });
    }
    Ok(all)
}
