//! Migrates the schema in numbered steps. A released step never changes.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};

use super::errors::open_error;
use super::values::nanos;
use crate::failpoints::{AbortFailpoint, AbortPoint};
use crate::store::error::{OpenError, StoreError};

/// Step `n` (from 1) migrates schema `n - 1` to schema `n`.
const STEPS: &[&str] = &[
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
    include_str!("schema/0004.sql"),
];

/// The application id in the file's header, "mtwh": it distinguishes a store from other SQLite files.
const APPLICATION_ID: i64 = 0x6d74_7768;

/// Returns the schema that this version writes.
#[must_use]
pub(super) fn newest() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// A file that this version can open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// An empty file.
    New,
    Store,
}

/// Checks, without changing anything, whether this version can open the file.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<FileKind, OpenError> {
    let failed = |error| open_error(path, error);
    let application: i64 = pragma(connection, "application_id").map_err(failed)?;
    let found = pragma(connection, "user_version").map_err(failed)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    let empty = application == 0 && found == 0 && tables == 0;
    if !empty && application != APPLICATION_ID {
        return Err(OpenError::NotAStore(path.to_owned()));
    }
    if found > newest() {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: newest() });
    }
    Ok(if empty { FileKind::New } else { FileKind::Store })
}

/// Runs the missing steps, each in a transaction that also stores the new schema number.
pub(super) fn run(connection: &mut Connection, now: Timestamp, abort: &AbortFailpoint) -> Result<(), StoreError> {
    let found: i64 = pragma(connection, "user_version")?;
    for (step, number) in STEPS.iter().zip(1_i64..).skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.execute(
            "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
            [format!("schema_{number}_since"), now.to_string()],
        )?;
        abort.hit(AbortPoint::Migration);
        transaction.commit()?;
        tracing::info!(schema = number, "migrated the store to a new schema");
    }
    make_due_once(connection, now)
}

/// Makes the deliveries due that an earlier version put off, up to hours ahead, because of their endpoint's trouble: this
/// version paces the endpoint instead. Once for each store. Where an endpoint's breaker is open, its probes find out first.
fn make_due_once(connection: &mut Connection, now: Timestamp) -> Result<(), StoreError> {
    const KEY: &str = "put_off_made_due";
    let is_done = "SELECT count(*) FROM meta WHERE key = ?1";
    if connection.query_row(is_done, [KEY], |row| row.get::<_, i64>(0))? > 0 {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let made_due = transaction.execute(
        "UPDATE deliveries SET due_at = ?1
         WHERE head = 1 AND state IN ('pending', 'leased') AND attempts > 0 AND rejections = 0 AND due_at > ?1
               AND reason IN ('throttled', 'unavailable', 'server_error', 'timeout', 'connect', 'tls', 'dns', 'interrupted')
               AND endpoint IN (SELECT id FROM endpoints WHERE breaker <> 'open')",
        [nanos(now)],
    )?;
    transaction.execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", [KEY, &now.to_string()])?;
    transaction.commit()?;
    if made_due > 0 {
        tracing::info!(deliveries = made_due, "made the deliveries due that an earlier version had put off for long");
    }
    Ok(())
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}
