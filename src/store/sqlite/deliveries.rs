//! Lists deliveries and shows single ones.

use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::reader::StoreReader;
use super::values::{known, nanos, optional_parse_at, optional_time_at, parse_at, time_at};
use crate::model::{ConferenceName, EndpointName, EventId, EventType};
use crate::store::error::StoreError;
use crate::store::outbox::{DeliveryId, DeliveryState};
use crate::store::query::{
    ConferenceSelector, DeliveryDetail, DeliveryFilter, DeliveryPage, DeliveryRow, StoredAttempt,
};

const COLUMNS: &str =
    "d.id, n.name AS endpoint, e.id AS event, e.type, c.name AS conference, e.sequence, d.state, d.owed_at,
     d.due_at, d.finished_at, d.attempts, d.reason, (SELECT b.batch_id FROM deliveries b WHERE b.id = d.batch) AS batch";

const TABLES: &str =
    "deliveries d CROSS JOIN endpoints n ON n.id = d.endpoint CROSS JOIN events e ON e.position = d.position
     LEFT JOIN conferences c ON c.id = e.conference";

/// The states in the index of deliveries that did not arrive.
const SKIPPED: [DeliveryState; 3] = [DeliveryState::Dead, DeliveryState::Settled, DeliveryState::Expired];

/// The conditions of a WHERE clause and their values.
#[derive(Default)]
struct FilterSql {
    sql: Vec<String>,
    values: Vec<Value>,
}

impl FilterSql {
    /// Adds a condition, which has one `?` for the value.
    fn add(&mut self, condition: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.sql.push(condition.to_owned());
            self.values.push(value.into());
        }
    }

    fn of(filter: &DeliveryFilter) -> Self {
        let mut all = Self::default();
        all.add(
            "d.endpoint = (SELECT id FROM endpoints WHERE name = ?)",
            filter.endpoint.as_ref().map(|name| name.as_str().to_owned()),
        );
        let lanes = "d.lane IN (SELECT l.id FROM lanes l JOIN conferences k ON k.id = l.conference WHERE k";
        match &filter.conference {
            Some(ConferenceSelector::Name(name)) => {
                all.add(&format!("{lanes}.name = ?)"), Some(name.as_str().to_owned()));
            }
            Some(ConferenceSelector::Code(code)) => {
                all.add(&format!("{lanes}.meeting_code = ?)"), Some(code.as_str().to_owned()));
            }
            None => {}
        }
        if let Some(event) = &filter.event {
            // Through the conference of the event, so that the lane's index can be used.
            all.sql.push(
                "(d.lane, d.position) IN (SELECT l.id, v.position FROM events v JOIN lanes l ON l.conference = v.conference
                                          WHERE v.id = ?)"
                    .to_owned(),
            );
            all.values.push(event.as_str().to_owned().into());
        }
        if !filter.states.is_empty() {
            // Our own names, written as literals so that the partial index of SKIPPED can be used.
            let names: Vec<_> = filter.states.iter().map(|state| format!("'{}'", state.as_str())).collect();
            all.sql.push(format!("d.state IN ({})", names.join(", ")));
            if filter.states.iter().all(|state| SKIPPED.contains(state)) {
                all.sql.push("d.state IN ('dead', 'settled', 'expired')".to_owned());
            }
        }
        all.add("d.owed_at >= ?", filter.from.map(nanos));
        all.add("d.owed_at < ?", filter.until.map(nanos));
        all.add("d.id < ?", filter.before.map(|before| before.0));
        all
    }
}

impl StoreReader {
    /// Returns one page of the deliveries that a filter selects, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn list_deliveries(&self, filter: &DeliveryFilter) -> Result<DeliveryPage, StoreError> {
        let limit = filter.limit.clamp(1, DeliveryFilter::MOST);
        let conditions = FilterSql::of(filter);
        let condition = if conditions.sql.is_empty() { "TRUE".to_owned() } else { conditions.sql.join(" AND ") };
        // One more than the limit shows whether there is a next page.
        let sql = format!("SELECT {COLUMNS} FROM {TABLES} WHERE {condition} ORDER BY d.id DESC LIMIT {}", limit + 1);
        let mut statement = self.connection().prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(conditions.values))?;
        let mut deliveries = Vec::new();
        while let Some(row) = rows.next()? {
            deliveries.push(read(row)?);
        }
        let more = deliveries.len() > limit;
        deliveries.truncate(limit);
        let next = deliveries.last().filter(|_| more).map(|last| last.delivery);
        Ok(DeliveryPage { deliveries, next })
    }

    /// Returns one delivery with its attempts; `None` if there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn delivery(&self, delivery: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError> {
        let sql = format!("SELECT {COLUMNS}, e.body FROM {TABLES} WHERE d.id = ?1");
        let mut statement = self.connection().prepare_cached(&sql)?;
        let found = statement.query_row([delivery.0], |row| Ok((read(row), row.get("body")?))).optional()?;
        let Some((row, body)) = found else { return Ok(None) };
        Ok(Some(DeliveryDetail { row: row?, attempts: attempts(self.connection(), delivery)?, body }))
    }
}

fn read(row: &Row<'_>) -> Result<DeliveryRow, StoreError> {
    Ok(DeliveryRow {
        delivery: DeliveryId(row.get("id")?),
        endpoint: parse_at(row, "endpoint", EndpointName::parse)?,
        event: parse_at(row, "event", known(EventId::parse))?,
        event_type: parse_at(row, "type", known(EventType::parse))?,
        conference: optional_parse_at(row, "conference", ConferenceName::parse)?,
        sequence: row.get::<_, Option<i64>>("sequence")?.and_then(|sequence| u64::try_from(sequence).ok()),
        state: parse_at(row, "state", known(DeliveryState::parse))?,
        owed_at: time_at(row, "owed_at")?,
        due_at: time_at(row, "due_at")?,
        finished_at: optional_time_at(row, "finished_at")?,
        attempts: row.get("attempts")?,
        reason: row.get("reason")?,
        batch: row.get("batch")?,
    })
}

fn attempts(connection: &Connection, delivery: DeliveryId) -> Result<Vec<StoredAttempt>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT number, began_at, duration, status, reason, answer FROM attempts
         WHERE delivery IN (?1, (SELECT batch FROM deliveries WHERE id = ?1)) ORDER BY began_at, number",
    )?;
    let mut rows = statement.query([delivery.0])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(StoredAttempt {
            number: row.get("number")?,
            began_at: time_at(row, "began_at")?,
            duration: Duration::from_nanos(u64::try_from(row.get::<_, i64>("duration")?).unwrap_or(0)),
            status: row.get("status")?,
            reason: row.get("reason")?,
            answer: row.get("answer")?,
        });
    }
    Ok(all)
}
