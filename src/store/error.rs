//! What can go wrong with the store. The texts name columns and files, never what stands in them.

use rusqlite::ErrorCode;

use crate::model::EventId;

/// Why a commit was not made. None of it is written then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// It holds an event that is in the log already, so it would tell one happening twice.
    #[error("the event {0} is in the log already")]
    Duplicate(EventId),
    /// It contradicts what is stored: a mistake of the program, not of the disk.
    #[error("a commit contradicts the store: {0}")]
    Invariant(&'static str),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CommitError {
    /// The name in logs and labels.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Duplicate(_) => "duplicate",
            Self::Invariant(_) => "invariant",
            Self::Store(error) => error.reason(),
        }
    }

    /// Every name that [`Self::reason`] gives.
    pub const REASONS: [&'static str; 11] = [
        "duplicate",
        "invariant",
        "full",
        "read_only",
        "corrupt",
        "busy",
        "gone",
        "io",
        "unreadable",
        "closed",
        "sqlite",
    ];
}

impl From<rusqlite::Error> for CommitError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Why the store could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the store's disk is full; make room, and it goes on by itself")]
    Full,
    #[error(
        "the store cannot be written: its file or file system is read-only; make it writable, and it goes on by itself"
    )]
    ReadOnly,
    #[error("the store's file is damaged; stop the daemon and restore it from a backup")]
    Corrupt,
    #[error("the store is locked by another program; end what holds it, and it goes on by itself")]
    Busy,
    /// One of its files is not where it was when the store was opened.
    #[error(
        "a file of the store was deleted, moved or replaced; put the same file back and it goes on by itself, or restart the daemon with what is there"
    )]
    Gone,
    #[error("the store's disk does not answer as it should: {0}; look at the disk and the system's log")]
    Io(String),
    #[error("the store holds a row that this version cannot read ({0})")]
    Unreadable(&'static str),
    #[error("the store is closed")]
    Closed,
    #[error("the store failed: {0}")]
    Sqlite(String),
}

impl StoreError {
    /// The name in logs and labels.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::ReadOnly => "read_only",
            Self::Corrupt => "corrupt",
            Self::Busy => "busy",
            Self::Gone => "gone",
            Self::Io(_) => "io",
            Self::Unreadable(_) => "unreadable",
            Self::Closed => "closed",
            Self::Sqlite(_) => "sqlite",
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        // SQLite's own words name tables and columns. The bindings' other errors could quote a value: they are not asked.
        let rusqlite::Error::SqliteFailure(failure, ref message) = error else {
            return match error {
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::Utf8Error(..) => Self::Unreadable("a column of an unexpected type"),
                rusqlite::Error::QueryReturnedNoRows => Self::Unreadable("a row that has to be there is missing"),
                _ => Self::Sqlite("a statement does not fit the schema".to_owned()),
            };
        };
        let words = || message.clone().unwrap_or_else(|| failure.to_string());
        match failure.code {
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::ReadOnly => Self::ReadOnly,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Corrupt,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy,
            ErrorCode::SystemIoFailure | ErrorCode::CannotOpen => Self::Io(words()),
            _ => Self::Sqlite(words()),
        }
    }
}
