//! The counters of endpoints: unfinished and finished deliveries, and the attempts of each hour.

use jiff::Timestamp;
use rusqlite::Connection;

use super::reader::StoreReader;
use super::values::parse_at;
use crate::model::EndpointName;
use crate::store::endpoint::AttemptCount;
use crate::store::error::StoreError;

/// How long the counts of an hour are kept.
const KEPT_HOURS: i64 = 72;

/// A change of an endpoint's delivery counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CounterChange {
    pub(super) owed: i64,
    pub(super) dead: i64,
    pub(super) expired: i64,
    pub(super) settled: i64,
}

/// Adds a change to the counters.
pub(super) fn add(connection: &Connection, endpoint: i64, change: CounterChange) -> Result<(), StoreError> {
    if change == CounterChange::default() {
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

/// Adds succeeded and failed attempts to the counts of this hour, and deletes the counts of old hours.
pub(super) fn add_attempts(
    connection: &Connection,
    endpoint: i64,
    (arrived, failed): (i64, i64),
    now: Timestamp,
) -> Result<(), StoreError> {
    let hour = now.as_second().div_euclid(3600);
    let updated = connection
        .prepare_cached(
            "UPDATE attempt_hours SET arrived = arrived + ?3, failed = failed + ?4 WHERE endpoint = ?1 AND hour = ?2",
        )?
        .execute([endpoint, hour, arrived, failed])?;
    if updated == 0 {
        connection
            .prepare_cached("INSERT INTO attempt_hours (endpoint, hour, arrived, failed) VALUES (?1, ?2, ?3, ?4)")?
            .execute([endpoint, hour, arrived, failed])?;
        connection
            .prepare_cached("DELETE FROM attempt_hours WHERE endpoint = ?1 AND hour < ?2")?
            .execute([endpoint, hour - KEPT_HOURS])?;
    }
    Ok(())
}

impl StoreReader {
    /// Returns the outcomes of every endpoint's attempts since the hour of `since`, by name. Three days are kept.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn attempts_since(&self, since: Timestamp) -> Result<Vec<AttemptCount>, StoreError> {
        let mut statement = self.connection().prepare_cached(
            "SELECT n.name, sum(h.arrived) AS arrived, sum(h.failed) AS failed
             FROM endpoints n JOIN attempt_hours h ON h.endpoint = n.id AND h.hour >= ?1
             GROUP BY n.id ORDER BY n.name",
        )?;
        let mut rows = statement.query([since.as_second().div_euclid(3600)])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(AttemptCount {
                endpoint: parse_at(row, "name", EndpointName::parse)?,
                arrived: u64::try_from(row.get::<_, i64>("arrived")?).unwrap_or(0),
                failed: u64::try_from(row.get::<_, i64>("failed")?).unwrap_or(0),
            });
        }
        Ok(all)
    }
}
