//! The rows of endpoints: their numbers, their delivery rules, and whether they are on.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::breaker;
use super::values::nanos;
use crate::model::EndpointName;
use crate::store::endpoint::{Batching, StoredBreaker};
use crate::store::error::StoreError;

/// Returns the endpoint's number. An unknown endpoint gets a row: it is on, and not configured.
pub(super) fn number_of(connection: &Connection, name: &EndpointName) -> Result<i64, StoreError> {
    let found = connection
        .prepare_cached("SELECT id FROM endpoints WHERE name = ?1")?
        .query_row([name.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(number) = found {
        return Ok(number);
    }
    connection.prepare_cached("INSERT INTO endpoints (name, configured) VALUES (?1, 0)")?.execute([name.as_str()])?;
    Ok(connection.last_insert_rowid())
}

/// What decides about an endpoint's deliveries.
#[derive(Debug, Clone, Copy)]
pub(super) struct EndpointRules {
    pub(super) on: bool,
    pub(super) ordered: bool,
    pub(super) settle: Duration,
    pub(super) max_age: Option<Duration>,
    pub(super) breaker: StoredBreaker,
    /// `None` if each event is sent alone.
    pub(super) batching: Option<Batching>,
}

pub(super) fn rules_of(connection: &Connection, endpoint: i64) -> Result<EndpointRules, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT state = 'on' AS enabled, ordered, settle, max_age, max_events, max_wait, breaker, trouble_since, probe_at, probes
         FROM endpoints WHERE id = ?1",
    )?;
    let mut rows = statement.query([endpoint])?;
    let row = rows.next()?.ok_or(StoreError::Unreadable("an endpoint without a row"))?;
    let ordered = row.get("ordered")?;
    let max_wait = length(row.get("max_wait")?);
    // Batches are ordered: an endpoint without order takes none.
    let max_events = row.get::<_, Option<u32>>("max_events")?.filter(|_| ordered);
    Ok(EndpointRules {
        on: row.get("enabled")?,
        ordered,
        batching: max_events.map(|max_events| Batching { max_events, max_wait }),
        settle: length(row.get("settle")?),
        max_age: row.get::<_, Option<i64>>("max_age")?.map(length),
        breaker: breaker::read(row)?,
    })
}

/// Returns how an endpoint takes batches; `None` if it does not.
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

/// Switches an endpoint off. Its deliveries stay pending.
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

/// Switches an endpoint on again; its pending deliveries are sent.
pub(super) fn switch_on(connection: &Connection, endpoint: i64, now: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE endpoints SET state = 'on', state_since = ?2, state_reason = NULL WHERE id = ?1 AND state = 'off'",
        )?
        .execute([endpoint, nanos(now)])?;
    Ok(())
}
