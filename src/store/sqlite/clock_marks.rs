//! The marks of the wall clock that the store keeps between checks.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::values::optional_time;
use crate::store::clock_check::{ClockCheck, ClockDoubt, ClockMarks, judge};
use crate::store::error::StoreError;

/// The key of the wall clock at the last check.
const SEEN: &str = "clock_seen";
/// The key of the time before which nothing is deleted.
const WAIT: &str = "prune_wait_until";
/// The key of the last time at which the store was tried.
const PROBED: &str = "probed";

/// Judges the clock by the stored marks, and stores the new ones.
pub(super) fn check(connection: &Connection, check: ClockCheck) -> Result<Option<ClockDoubt>, StoreError> {
    let marks = ClockMarks { seen: mark(connection, SEEN)?, wait_until: mark(connection, WAIT)? };
    let newest: Option<i64> = connection
        .prepare_cached("SELECT observed_at FROM events ORDER BY position DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let (marks, doubt) = judge(marks, check, optional_time(newest)?);
    set_mark(connection, SEEN, marks.seen)?;
    set_mark(connection, WAIT, marks.wait_until)?;
    Ok(doubt)
}

/// Stores when the store was tried, which tries it.
pub(super) fn set_probed(connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
    set_mark(connection, PROBED, Some(now))
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
