//! Writes a commit: entities, log and deliveries.

use jiff::Timestamp;
use rusqlite::Connection;

use super::{enqueue, entities, log, redact_commit};
use crate::store::error::WriteError;
use crate::store::rows::Commit;

/// Writes a commit. Returns the position of its last event.
pub(super) fn commit(connection: &Connection, commit: &Commit, now: Timestamp) -> Result<Option<i64>, WriteError> {
    let commit = &*redact_commit::redact(connection, commit, now)?;
    entities::write(connection, commit)?;
    let appended = log::append(connection, commit)?;
    enqueue::enqueue(connection, &appended, now)?;
    redact_commit::erase_closed(connection, commit, now)?;
    Ok(appended.last().map(|event| event.position))
}
