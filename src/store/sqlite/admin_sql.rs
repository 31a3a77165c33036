//! Changes the outbox for an operator or the configuration.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::counters::{self, CounterChange};
use super::values::nanos;
use super::{breaker, endpoints, lanes};
use crate::model::EndpointName;
use crate::store::admin::AdminRequest;
use crate::store::endpoint::{EndpointConfig, StoredBreaker};
use crate::store::error::StoreError;
use crate::store::outbox::DeliveryId;

/// Applies one admin request. Returns how many deliveries it changed.
pub(super) fn apply(connection: &Connection, request: &AdminRequest, now: Timestamp) -> Result<u64, StoreError> {
    match request {
        AdminRequest::Configure(configs) => configure(connection, configs).map(|()| 0),
        AdminRequest::Replay(deliveries) => each(deliveries, |delivery| replay(connection, delivery, now)),
        AdminRequest::Enable(endpoint) => enable(connection, endpoint, now).map(|()| 0),
        AdminRequest::Disable(endpoint) => {
            let endpoint = endpoints::number_of(connection, endpoint)?;
            endpoints::switch_off(connection, endpoint, "operator", now).map(|()| 0)
        }
        AdminRequest::Skip(deliveries) => each(deliveries, |delivery| skip(connection, delivery, now)),
        AdminRequest::Delete(deliveries) => each(deliveries, |delivery| delete(connection, delivery)),
        AdminRequest::Remove(endpoint) => remove(connection, endpoint).map(|()| 0),
    }
}

fn each(deliveries: &[DeliveryId], change: impl Fn(DeliveryId) -> Result<bool, StoreError>) -> Result<u64, StoreError> {
    let mut changed = 0;
    for delivery in deliveries {
        changed += u64::from(change(*delivery)?);
    }
    Ok(changed)
}

fn configure(connection: &Connection, configs: &[EndpointConfig]) -> Result<(), StoreError> {
    connection.prepare_cached("UPDATE endpoints SET configured = 0")?.execute([])?;
    for config in configs {
        let endpoint = endpoints::number_of(connection, &config.name)?;
        let was_ordered: bool = connection
            .prepare_cached("SELECT ordered FROM endpoints WHERE id = ?1")?
            .query_row([endpoint], |row| row.get(0))?;
        connection
            .prepare_cached(
                "UPDATE endpoints SET configured = 1, ordered = ?2, settle = ?3, max_age = ?4, max_events = ?5, max_wait = ?6
                 WHERE id = ?1",
            )?
            .execute(params![
                endpoint,
                config.ordered,
                length(config.settle),
                config.max_age.map(length),
                config.batching.map(|batching| batching.max_events),
                config.batching.map_or(0, |batching| length(batching.max_wait)),
            ])?;
        if was_ordered != config.ordered {
            lanes::set_heads(connection, endpoint, config.ordered)?;
        }
    }
    Ok(())
}

/// In nanoseconds.
fn length(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn enable(connection: &Connection, name: &EndpointName, now: Timestamp) -> Result<(), StoreError> {
    let endpoint = endpoints::number_of(connection, name)?;
    endpoints::switch_on(connection, endpoint, now)?;
    // An operator who switches it on expects it to work: the breaker closes.
    breaker::set(connection, endpoint, StoredBreaker::Closed, now)
}

/// Makes a finished delivery pending again, with a new window.
fn replay(connection: &Connection, delivery: DeliveryId, now: Timestamp) -> Result<bool, StoreError> {
    let found: Option<(i64, i64, i64, String)> = connection
        .prepare_cached(
            "SELECT lane, position, endpoint, state FROM deliveries
             WHERE id = ?1 AND state IN ('done', 'dead', 'settled', 'expired')",
        )?
        .query_row([delivery.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let Some((lane, position, endpoint, state)) = found else { return Ok(false) };
    let head = lanes::claim_head(connection, endpoint, lane, position)?;
    connection
        .prepare_cached(
            "UPDATE deliveries SET state = 'pending', head = ?2, due_at = ?3, replayed_at = ?3, settle_until = NULL,
                                   tried_since = NULL, hold_until = NULL, failures = 0, rejections = 0, reason = NULL,
                                   finished_at = NULL, batch = NULL, batch_id = NULL
             WHERE id = ?1",
        )?
        .execute(params![delivery.0, head, nanos(now)])?;
    let change = CounterChange {
        owed: 1,
        dead: -i64::from(state == "dead"),
        expired: -i64::from(state == "expired"),
        settled: 0,
    };
    counters::add(connection, endpoint, change)?;
    Ok(true)
}

/// Expires a pending delivery, unless it is being sent in a batch.
fn skip(connection: &Connection, delivery: DeliveryId, now: Timestamp) -> Result<bool, StoreError> {
    let found: Option<(i64, i64, i64)> = connection
        .prepare_cached(
            "UPDATE deliveries SET state = 'expired', head = 0, reason = 'skipped', finished_at = ?2
             WHERE id = ?1 AND state = 'pending'
                   AND NOT EXISTS (SELECT 1 FROM deliveries l WHERE l.id = deliveries.batch AND l.state = 'leased')
             RETURNING lane, position, endpoint",
        )?
        .query_row(params![delivery.0, nanos(now)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((lane, position, endpoint)) = found else { return Ok(false) };
    lanes::advance(connection, lane, position, now)?;
    counters::add(connection, endpoint, CounterChange { owed: -1, expired: 1, ..CounterChange::default() })?;
    Ok(true)
}

fn delete(connection: &Connection, delivery: DeliveryId) -> Result<bool, StoreError> {
    let deleted = connection
        .prepare_cached(
            "DELETE FROM deliveries
             WHERE id = ?1 AND endpoint IN (SELECT id FROM endpoints WHERE configured = 0) RETURNING endpoint, state",
        )?
        .query_row([delivery.0], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    let Some((endpoint, state)) = deleted else { return Ok(false) };
    connection.prepare_cached("DELETE FROM attempts WHERE delivery = ?1")?.execute([delivery.0])?;
    let change = CounterChange {
        owed: -i64::from(matches!(state.as_str(), "pending" | "leased")),
        dead: -i64::from(state == "dead"),
        expired: -i64::from(state == "expired"),
        settled: 0,
    };
    counters::add(connection, endpoint, change)?;
    Ok(true)
}

fn remove(connection: &Connection, name: &EndpointName) -> Result<(), StoreError> {
    let orphan: Option<i64> = connection
        .prepare_cached(
            "SELECT id FROM endpoints WHERE name = ?1 AND configured = 0
                    AND NOT EXISTS (SELECT 1 FROM deliveries WHERE endpoint = endpoints.id)",
        )?
        .query_row([name.as_str()], |row| row.get(0))
        .optional()?;
    let Some(orphan) = orphan else { return Ok(()) };
    for statement in [
        "DELETE FROM lanes WHERE endpoint = ?1",
        "DELETE FROM attempt_hours WHERE endpoint = ?1",
        "DELETE FROM endpoints WHERE id = ?1",
    ] {
        connection.prepare_cached(statement)?.execute([orphan])?;
    }
    Ok(())
}
