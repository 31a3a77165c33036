//! Executes one step of forgetting a person.
//!
//! The first step adds the person to the list of forgotten people; from then on `redact_commit` keeps them out of every
//! commit. The later steps erase what was written before, a few participants at a time.

use jiff::Timestamp;
use rusqlite::Connection;

use super::erase::erase;
use super::forgotten::{key, make_key, remember};
use crate::store::error::WriteError;
use crate::store::forget::ForgetRequest;

/// Takes one step.
pub(super) fn step(connection: &Connection, request: &ForgetRequest, now: Timestamp) -> Result<(), WriteError> {
    match request {
        ForgetRequest::Remember(names) => {
            let key = match key(connection)? {
                Some(key) => key,
                None => make_key(connection)?,
            };
            names.iter().try_for_each(|name| remember(connection, &key.hash(name), now))?;
        }
        ForgetRequest::Erase(rows) => {
            let key = key(connection)?.ok_or(WriteError::Invariant("an erasure came before anybody was forgotten"))?;
            for (conference, name) in rows {
                erase(connection, &key, *conference, name, now)?;
            }
        }
    }
    Ok(())
}
