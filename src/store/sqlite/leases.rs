//! Ends leases: all of them when the store is opened, and those that ran out.

use std::collections::HashSet;

use jiff::Timestamp;
use rusqlite::Connection;

use super::values::nanos;
use crate::store::error::StoreError;
use crate::store::outbox::DeliveryId;

/// Voids every lease: their holders ended with the previous process. Returns how many there were.
pub(super) fn void_all(connection: &Connection) -> Result<usize, StoreError> {
    let voided = connection
        .prepare_cached("UPDATE deliveries SET state = 'pending', lease_until = NULL WHERE state = 'leased'")?
        .execute([])?;
    Ok(voided)
}

/// Voids the leases that ran out, except those of deliveries that the caller still has in flight.
pub(super) fn void_expired(
    connection: &Connection,
    in_flight: &[DeliveryId],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id FROM deliveries INDEXED BY deliveries_leased WHERE state = 'leased' AND lease_until <= ?1",
    )?;
    let ended: Vec<i64> = statement.query_map([nanos(now)], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut void =
        connection.prepare_cached("UPDATE deliveries SET state = 'pending', lease_until = NULL WHERE id = ?1")?;
    if ended.is_empty() {
        return Ok(());
    }
    // A slow endpoint may hold a thousand deliveries beyond their lease, and there may be many such endpoints.
    let in_flight: HashSet<i64> = in_flight.iter().map(|delivery| delivery.0).collect();
    for id in ended {
        if !in_flight.contains(&id) {
            void.execute([id])?;
        }
    }
    Ok(())
}
