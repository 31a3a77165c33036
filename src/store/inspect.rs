//! All SQL for those who look into what became of deliveries.

use rusqlite::{Connection, params};

use super::delivery::{DeliveryId, DeliveryRow, DeliveryState};
use super::error::StoreError;
use super::values::{known, parse_at, time_at};
use crate::model::{EndpointName, EventId};

/// An endpoint's deliveries after one of them, oldest first.
pub(super) fn deliveries(
    connection: &Connection,
    endpoint: &EndpointName,
    after: i64,
    limit: usize,
) -> Result<Vec<DeliveryRow>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT d.id, e.id AS event, d.state, d.due_at, d.attempts, d.reason
         FROM deliveries d CROSS JOIN events e ON e.position = d.position
         WHERE d.id > ?2 AND d.endpoint = (SELECT id FROM endpoints WHERE name = ?1) ORDER BY d.id LIMIT ?3",
    )?;
    let mut rows = statement.query(params![endpoint.as_str(), after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(DeliveryRow {
            delivery: DeliveryId(row.get("id")?),
            endpoint: endpoint.clone(),
            event: parse_at(row, "event", known(EventId::parse))?,
            state: parse_at(row, "state", known(DeliveryState::parse))?,
            due_at: time_at(row, "due_at")?,
            attempts: row.get("attempts")?,
            reason: row.get("reason")?,
        });
    }
    Ok(all)
}
