//! Reads the state of every endpoint.

use super::breaker;
use super::reader::StoreReader;
use super::values::{optional_time_at, parse_at};
use crate::model::EndpointName;
use crate::store::endpoint::EndpointSummary;
use crate::store::error::StoreError;

impl StoreReader {
    /// Returns the state of every endpoint that ever had a delivery or a configuration, by name. Cheap at any backlog.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn outbox_summary(&self) -> Result<Vec<EndpointSummary>, StoreError> {
        let mut statement = self.connection().prepare_cached(
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
}
