//! A connection to read from. The queries are methods in the files that hold the SQL of their tables.

use std::path::Path;

use rusqlite::Connection;

use super::open::open_reader;
use crate::store::error::StoreError;

/// A connection that answers queries.
#[derive(Debug)]
pub struct StoreReader {
    connection: Connection,
}

impl StoreReader {
    /// Opens a read-only connection to a store that exists.
    pub(in crate::store) fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::new(open_reader(path)?))
    }

    pub(super) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Runs `query` in a transaction: everything it reads is of one instant.
    pub(in crate::store) fn in_snapshot<T>(
        &self,
        query: impl FnOnce(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let snapshot = self.connection.unchecked_transaction()?;
        let answer = query(self)?;
        snapshot.finish()?;
        Ok(answer)
    }
}
