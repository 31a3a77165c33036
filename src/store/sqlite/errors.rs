//! Turns `rusqlite`'s errors into those of the contract.

use std::path::Path;

use crate::store::error::{OpenError, StoreError, WriteError};
use rusqlite::ErrorCode;

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        // SQLite's own messages name tables and columns. The other errors of `rusqlite` could quote a value: their text
        // is not used.
        let rusqlite::Error::SqliteFailure(failure, ref message) = error else {
            return match error {
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::Utf8Error(..) => Self::Unreadable("a column of an unexpected type"),
                rusqlite::Error::QueryReturnedNoRows => Self::Unreadable("a row that has to be there is missing"),
                _ => Self::Backend("a statement does not fit the schema".to_owned()),
            };
        };
        let text = || message.clone().unwrap_or_else(|| failure.to_string());
        match failure.code {
            ErrorCode::DiskFull => Self::Full,
            // The index of the write-ahead log cannot be made larger.
            _ if failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE => Self::Full,
            ErrorCode::ReadOnly => Self::ReadOnly,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Corrupt,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy,
            ErrorCode::SystemIoFailure | ErrorCode::CannotOpen => Self::Io(text()),
            _ => Self::Backend(text()),
        }
    }
}

/// Classifies why SQLite could not open or read the file at `path`.
pub(super) fn open_error(path: &Path, error: rusqlite::Error) -> OpenError {
    if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
        return OpenError::NotAStore(path.to_owned());
    }
    OpenError::from_store(path, error.into())
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn a_disk_that_is_full_at_the_start_is_named_once_and_as_that() {
        let failure = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_SHMSIZE);
        let error = open_error(Path::new("/data/m.db"), rusqlite::Error::SqliteFailure(failure, None));
        assert_eq!(error.to_string(), format!("the store /data/m.db cannot be opened: {}", StoreError::Full));
        assert!(error.source().is_none(), "whoever prints the sources would repeat it");
    }
}
