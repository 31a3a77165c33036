//! The errors of the store. Their texts name columns and files, never the values in them.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::EventId;

/// Why an operation was not written. Nothing of it is stored then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The commit holds an event that is already in the log. Writing it would report one change twice.
    #[error("the event {0} is in the log already")]
    Duplicate(EventId),
    /// The operation contradicts what is stored. This is a defect of the program, not of the disk.
    #[error("the operation contradicts the store: {0}")]
    Invariant(&'static str),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl WriteError {
    /// Returns the error's name in logs and metric labels.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Duplicate(_) => "duplicate",
            Self::Invariant(_) => "invariant",
            Self::Store(error) => error.reason(),
        }
    }

    /// Every name that [`Self::reason`] can return.
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
    /// One of the store's files is no longer the one that was opened.
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
    /// The backend failed in another way.
    #[error("the store failed: {0}")]
    Backend(String),
}

impl StoreError {
    /// Returns the error's name in logs and metric labels.
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
            // The name is in metrics and alerts, so it stays.
            Self::Backend(_) => "sqlite",
        }
    }
}

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the store's folder {0} does not exist; make it, or set `path` under [store]")]
    FolderMissing(PathBuf),
    #[error(
        "the store {0} cannot be written; give the daemon's user the right to write it and its folder, or set another `path` under [store]"
    )]
    ReadOnly(PathBuf),
    #[error("another process has the store {0} open; stop it, or give each daemon a `path` of its own under [store]")]
    InUse(PathBuf),
    #[error("{0} is not a store of meetwatch; set another `path` under [store], nothing was changed in that file")]
    NotAStore(PathBuf),
    #[error(
        "the store {path} has schema {found} and this version of meetwatch knows up to schema {known}; run the newer version, nothing was changed"
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error(
        "the store {path} has {names} names (hard links), by which two daemons could open it at once; keep one name, for example by `cp {path} {path}.new && mv {path}.new {path}` while no daemon runs; nothing was changed"
    )]
    HardLinked { path: PathBuf, names: u64 },
    #[error(
        "the store {0} does not fit the write-ahead log beside it, which belongs to an earlier or later one; if you restored a backup, move {0}-wal and {0}-shm away and start again; nothing was changed"
    )]
    ForeignLog(PathBuf),
    #[error("the store {0} is damaged; restore it from a backup, or move it away to begin anew")]
    Corrupt(PathBuf),
    // The text says why, so the cause is not a source of its own: whoever prints the sources would print it twice.
    #[error("the store {path} cannot be opened: {cause}")]
    Io { path: PathBuf, cause: io::Error },
    #[error("the store {path} cannot be opened: {cause}")]
    Store { path: PathBuf, cause: StoreError },
}

impl OpenError {
    pub(super) fn from_store(path: &Path, source: StoreError) -> Self {
        let path = path.to_owned();
        match source {
            StoreError::Corrupt => Self::Corrupt(path),
            StoreError::ReadOnly => Self::ReadOnly(path),
            cause => Self::Store { path, cause },
        }
    }

    pub(super) fn from_io(path: &Path, source: io::Error) -> Self {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                Self::FolderMissing(folder.unwrap_or(Path::new(".")).to_owned())
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly(path.to_owned()),
            _ => Self::Io { path: path.to_owned(), cause: source },
        }
    }
}
