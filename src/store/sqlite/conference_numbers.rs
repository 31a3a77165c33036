//! The numbers that stand for conferences in the tables.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};

use crate::model::ConferenceName;
use crate::store::error::WriteError;

/// The conference number of events that belong to no conference.
pub(super) const NO_CONFERENCE: i64 = 0;

/// The numbers of conferences within one commit, each looked up once.
#[derive(Default)]
pub(super) struct ConferenceNumbers(BTreeMap<ConferenceName, i64>);

impl ConferenceNumbers {
    /// Returns the number of a conference. One that is not stored is an error.
    pub(super) fn of(&mut self, connection: &Connection, name: &ConferenceName) -> Result<i64, WriteError> {
        if let Some(number) = self.0.get(name) {
            return Ok(*number);
        }
        let number: Option<i64> = connection
            .prepare_cached("SELECT id FROM conferences WHERE name = ?1")?
            .query_row([name.as_str()], |row| row.get(0))
            .optional()?;
        let number = number.ok_or(WriteError::Invariant("a row belongs to a conference that is not stored"))?;
        self.0.insert(name.clone(), number);
        Ok(number)
    }
}
