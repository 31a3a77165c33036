//! Opens the store's file: takes the lock, checks the file, and migrates it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::errors::open_error;
use super::files::StoreFiles;
use super::leases;
use super::migrate::{self, FileKind};
use super::quick_check::quick_check;
use crate::failpoints::AbortFailpoint;
use crate::store::error::{OpenError, StoreError};

/// How long a statement waits for a lock that another connection holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The size to which SQLite truncates the write-ahead log, in bytes.
const JOURNAL_SIZE_LIMIT: i64 = 64 << 20;

/// How many prepared statements a connection caches.
const STATEMENTS: usize = 96;

/// An open and migrated store.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) lock: File,
    pub(super) files: StoreFiles,
}

/// Opens the store for writing: takes the lock, checks that the file is a sound store, and migrates it.
pub(super) fn open(path: &Path, now: Timestamp, abort: &AbortFailpoint) -> Result<Opened, OpenError> {
    let lock = take_lock(path)?;
    // SQLite would create the file with the umask; its companions inherit the mode of the file.
    create_private(path).map_err(|error| OpenError::from_io(path, error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error: rusqlite::Error| open_error(path, error);
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    prepare(&connection).map_err(failed)?;
    // Checked before anything is changed: a foreign file stays as it is.
    if migrate::check(&connection, path)? == FileKind::New {
        make_shrinkable(&connection).map_err(failed)?;
    }
    quick_check(&connection).map_err(|error| OpenError::from_store(path, error))?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    connection.pragma_update(None, "journal_size_limit", JOURNAL_SIZE_LIMIT).map_err(failed)?;
    set_up(&mut connection, now, abort).map_err(|error| OpenError::from_store(path, error))?;
    let files = StoreFiles::of(path).map_err(|error| OpenError::from_io(path, error))?;
    Ok(Opened { connection, lock, files })
}

pub(super) fn in_memory(now: Timestamp) -> Result<Connection, OpenError> {
    let path = Path::new(":memory:");
    let mut connection = Connection::open_in_memory().map_err(|error| open_error(path, error))?;
    prepare(&connection).and_then(|()| make_shrinkable(&connection)).map_err(|error| open_error(path, error))?;
    set_up(&mut connection, now, &AbortFailpoint::default()).map_err(|error| OpenError::from_store(path, error))?;
    Ok(connection)
}

/// Opens a read-only connection to a store that exists.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Without it SQLite replans a statement that could use a partial index for each bound value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "temp_store", "MEMORY")
}

/// Lets the file shrink when rows are deleted. Only an empty file can be set so without rewriting it.
fn make_shrinkable(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")
}

fn set_up(connection: &mut Connection, now: Timestamp, abort: &AbortFailpoint) -> Result<(), StoreError> {
    migrate::run(connection, now, abort)?;
    let voided = leases::void_all(connection)?;
    if voided > 0 {
        tracing::info!(
            deliveries = voided,
            "released the leases of the previous process; these deliveries are sent again"
        );
    }
    Ok(())
}

/// Locks the file `<store>.lock`. The file stays when the store is closed; only the lock on it counts.
fn take_lock(path: &Path) -> Result<File, OpenError> {
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock_path)
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
