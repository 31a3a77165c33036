//! Opening the store's file, and every way in which that can fail, with its remedy.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::claim;
use super::error::StoreError;
use super::examine::examine;
use super::files::Files;
use super::migrate::{self, Kind};
use crate::failpoints::AbortFailpoint;

/// How long a statement waits for another connection of this process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The write-ahead log is cut to this after it grew.
const JOURNAL_SIZE_LIMIT: i64 = 64 << 20;

/// How many prepared statements a connection keeps.
const STATEMENTS: usize = 96;

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
    #[error("the store {0} is damaged; restore it from a backup, or move it away to begin anew")]
    Corrupt(PathBuf),
    #[error("the store {path} cannot be opened: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("the store {path} cannot be opened: {source}")]
    Store { path: PathBuf, source: StoreError },
}

impl OpenError {
    pub(super) fn from_store(path: &Path, source: StoreError) -> Self {
        let path = path.to_owned();
        match source {
            StoreError::Corrupt => Self::Corrupt(path),
            StoreError::ReadOnly => Self::ReadOnly(path),
            source => Self::Store { path, source },
        }
    }

    fn from_io(path: &Path, source: io::Error) -> Self {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                Self::FolderMissing(folder.unwrap_or(Path::new(".")).to_owned())
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly(path.to_owned()),
            _ => Self::Io { path: path.to_owned(), source },
        }
    }
}

/// An open store, before anything is done with it.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) lock: File,
    pub(super) files: Files,
}

/// Opens for writing: takes the lock, looks whether the file is ours and whole, and brings it up to date.
pub(super) fn open(path: &Path, now: Timestamp, abort: &AbortFailpoint) -> Result<Opened, OpenError> {
    let lock = take_lock(path)?;
    // SQLite would make the file readable by others; its companions take the mode of the file.
    create_private(path).map_err(|error| OpenError::from_io(path, error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error: rusqlite::Error| named(path, error);
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    prepare(&connection).map_err(failed)?;
    // Looked at before anything is changed: a foreign file stays as it is.
    if migrate::check(&connection, path)? == Kind::New {
        make_shrinkable(&connection).map_err(failed)?;
    }
    examine(&connection).map_err(|error| OpenError::from_store(path, error))?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    connection.pragma_update(None, "journal_size_limit", JOURNAL_SIZE_LIMIT).map_err(failed)?;
    set_up(&mut connection, now, abort).map_err(|error| OpenError::from_store(path, error))?;
    let files = Files::of(path).map_err(|error| OpenError::from_io(path, error))?;
    Ok(Opened { connection, lock, files })
}

pub(super) fn in_memory(now: Timestamp) -> Result<Connection, OpenError> {
    let path = Path::new(":memory:");
    let mut connection = Connection::open_in_memory().map_err(|error| named(path, error))?;
    prepare(&connection).and_then(|()| make_shrinkable(&connection)).map_err(|error| named(path, error))?;
    set_up(&mut connection, now, &AbortFailpoint::default()).map_err(|error| OpenError::from_store(path, error))?;
    Ok(connection)
}

/// A connection that reads only, on a store that is there.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Otherwise a statement that could use a partial index is planned anew for each value that is bound to it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "temp_store", "MEMORY")
}

/// Lets a file that has nothing in it yet become smaller again when rows are deleted. Later it would have to be written
/// anew.
fn make_shrinkable(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")
}

fn set_up(connection: &mut Connection, now: Timestamp, abort: &AbortFailpoint) -> Result<(), StoreError> {
    migrate::run(connection, now, abort)?;
    let voided = claim::void_leases(connection)?;
    if voided > 0 {
        tracing::info!(
            deliveries = voided,
            "deliveries that were being sent when the last process ended are owed again"
        );
    }
    Ok(())
}

/// Names the way in which SQLite could not open or read the file.
pub(super) fn named(path: &Path, error: rusqlite::Error) -> OpenError {
    if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) {
        return OpenError::NotAStore(path.to_owned());
    }
    OpenError::from_store(path, error.into())
}

/// Takes the lock beside the store. It is the file `<store>.lock`, which stays behind: only the lock on it counts.
fn take_lock(path: &Path) -> Result<File, OpenError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&beside)
        .map_err(|error| OpenError::from_io(path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(OpenError::from_io(path, error)),
    }
}

fn create_private(path: &Path) -> io::Result<()> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map(drop)
}
