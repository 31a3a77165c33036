//! The stored circuit breaker of an endpoint, which survives restarts.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::values::{nanos, optional_time_at};
use crate::store::endpoint::StoredBreaker;
use crate::store::error::StoreError;

/// Selects the last attempt of a delivery if its answer was that there is no such address.
macro_rules! not_found {
    ($delivery:literal) => {
        concat!(
            "SELECT 1 FROM attempts a WHERE a.delivery = ",
            $delivery,
            " AND a.status IN (404, 405)
              AND a.number = (SELECT max(l.number) FROM attempts l WHERE l.delivery = ",
            $delivery,
            ")"
        )
    };
}
pub(super) use not_found;

/// Reads the breaker out of a row of `endpoints`, by its columns `breaker`, `trouble_since`, `probe_at` and `probes`.
pub(super) fn read(row: &rusqlite::Row<'_>) -> Result<StoredBreaker, StoreError> {
    match row.get_ref("breaker")?.as_str() {
        Ok("closed") => Ok(StoredBreaker::Closed),
        Ok("draining") => Ok(StoredBreaker::Draining),
        Ok("open") => {
            let missing = StoreError::Unreadable("an open breaker without its times");
            Ok(StoredBreaker::Open {
                since: optional_time_at(row, "trouble_since")?.ok_or_else(|| missing.clone())?,
                probes: row.get("probes")?,
                probe_at: optional_time_at(row, "probe_at")?.ok_or(missing)?,
            })
        }
        _ => Err(StoreError::Unreadable("breaker")),
    }
}

/// Stores the breaker. When it closes or begins to drain, failed deliveries are due at once, also those that were not found
/// during the trouble, and the time of the trouble does not count towards their head-of-line hold.
pub(super) fn set(connection: &Connection, endpoint: i64, to: StoredBreaker, now: Timestamp) -> Result<(), StoreError> {
    let since: Option<i64> = connection
        .prepare_cached("SELECT trouble_since FROM endpoints WHERE id = ?1 AND breaker = 'open'")?
        .query_map([endpoint], |row| row.get(0))?
        .next()
        .transpose()?
        .flatten();
    let (trouble_since, probes, probe_at) = match to {
        StoredBreaker::Open { since, probes, probe_at } => (Some(nanos(since)), probes, Some(nanos(probe_at))),
        StoredBreaker::Closed | StoredBreaker::Draining => (None, 0, None),
    };
    connection
        .prepare_cached(
            "UPDATE endpoints SET breaker = ?2, trouble_since = ?3, probes = ?4, probe_at = ?5 WHERE id = ?1",
        )?
        .execute(params![endpoint, to.as_str(), trouble_since, probes, probe_at])?;
    match (since, to) {
        (Some(since), StoredBreaker::Closed | StoredBreaker::Draining) => {
            after_outage(connection, endpoint, since, now)
        }
        _ => Ok(()),
    }
}

fn after_outage(connection: &Connection, endpoint: i64, since: i64, now: Timestamp) -> Result<(), StoreError> {
    // Other rejected deliveries keep their due time: the rejection was about the delivery, not the endpoint.
    let mut forgive = connection.prepare_cached(concat!(
        "UPDATE deliveries SET rejections = 0, failures = 0
         WHERE endpoint = ?1 AND head = 1 AND state = 'pending' AND attempts > 0 AND rejections > 0
               AND EXISTS (",
        not_found!("deliveries.id"),
        " AND a.began_at + a.duration >= ?2)"
    ))?;
    forgive.execute([endpoint, since])?;
    let mut statement = connection.prepare_cached(
        "UPDATE deliveries SET due_at = CASE WHEN rejections = 0 THEN min(due_at, ?3) ELSE due_at END,
                               hold_until = hold_until + coalesce(max(0, ?3 - max(?2, tried_since)), 0),
                               tried_since = tried_since + max(0, ?3 - max(?2, tried_since))
         WHERE endpoint = ?1 AND head = 1 AND state = 'pending' AND attempts > 0",
    )?;
    statement.execute([endpoint, since, nanos(now)])?;
    Ok(())
}
