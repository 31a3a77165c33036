//! The numbered steps from one schema to the next. A step, once released, is never changed.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};

use super::error::StoreError;
use super::open::{OpenError, named};
use crate::failpoints::{AbortFailpoint, AbortPoint};

/// Step `n` (from 1) makes schema `n` out of schema `n - 1`.
const STEPS: &[&str] = &[
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
    include_str!("schema/0004.sql"),
];

/// Written into the file's header, so that nobody else's SQLite file is taken for a store: "mtwh".
const APPLICATION_ID: i64 = 0x6d74_7768;

/// The schema that this version writes.
#[must_use]
pub(super) fn newest() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// What a file is that this version may work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is nothing in it yet.
    New,
    Store,
}

/// Looks, without changing anything, whether this version may work on the file.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<Kind, OpenError> {
    let failed = |error| named(path, error);
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
    Ok(if empty { Kind::New } else { Kind::Store })
}

/// Takes the steps that are missing, each in a transaction of its own that also notes the schema reached.
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
        tracing::info!(schema = number, "the store has a new schema");
    }
    Ok(())
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}
