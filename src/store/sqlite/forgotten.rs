//! The list of forgotten people: keyed hashes of their names.

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::pseudonym::ErasureKey;
use super::values::nanos;
use crate::model::ParticipantName;
use crate::store::error::StoreError;

/// The length of the key in random bytes.
const KEY_BYTES: usize = 32;

/// Returns the key; `None` while nobody was ever forgotten.
pub(super) fn key(connection: &Connection) -> Result<Option<ErasureKey>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT value FROM meta WHERE key = 'forgotten_key'")?;
    let Some(text) = statement.query_row([], |row| row.get::<_, String>(0)).optional()? else { return Ok(None) };
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| StoreError::Unreadable("forgotten_key"))?;
    Ok(Some(ErasureKey::new(bytes)))
}

/// Creates and stores the key.
pub(super) fn make_key(connection: &Connection) -> Result<ErasureKey, StoreError> {
    let mut bytes = vec![0; KEY_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| StoreError::Io(format!("no random bytes to make a key of ({error})")))?;
    connection
        .prepare_cached("INSERT INTO meta (key, value) VALUES ('forgotten_key', ?1)")?
        .execute([BASE64URL_NOPAD.encode(&bytes)])?;
    Ok(ErasureKey::new(bytes))
}

/// Adds a hash to the list.
pub(super) fn remember(connection: &Connection, hash: &str, now: Timestamp) -> Result<(), StoreError> {
    let mut statement =
        connection.prepare_cached("INSERT OR IGNORE INTO forgotten (hash, forgotten_at) VALUES (?1, ?2)")?;
    statement.execute(params![hash, nanos(now)])?;
    Ok(())
}

/// Whether a participant is on the list, by its user, its account or its own name.
pub(super) fn is_forgotten(
    connection: &Connection,
    key: &ErasureKey,
    user: Option<&str>,
    name: &ParticipantName,
) -> Result<bool, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM forgotten WHERE hash IN (?1, ?2, ?3))")?;
    Ok(statement.query_row(key.hashes(user, name), |row| row.get(0))?)
}
