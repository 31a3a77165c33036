//! Opens the store's file: takes the locks, examines the file, and migrates it.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::errors::open_error;
use super::files::{StoreFiles, create_private};
use super::leases;
use super::lock::{self, StoreLock};
use super::migrate::{self, FileKind};
use super::preflight::preflight;
use crate::failpoints::AbortFailpoint;
use crate::store::error::{OpenError, StoreError};
use crate::store::settings::without_links;

/// How long a statement waits for a lock that another connection holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The size to which SQLite truncates the write-ahead log, in bytes.
const JOURNAL_SIZE_LIMIT: i64 = 64 << 20;

/// How many prepared statements a connection caches.
const STATEMENTS: usize = 96;

/// An open and migrated store.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) lock: StoreLock,
    pub(super) files: StoreFiles,
}

/// Opens the store for writing: takes the locks, checks that the file is a sound store, and migrates it. What is refused
/// is not changed.
pub(super) fn open(path: &Path, now: Timestamp, abort: &AbortFailpoint) -> Result<Opened, OpenError> {
    // SQLite puts its companions beside the file that a link leads to. So do we.
    let path = &*without_links(path);
    lock::refuse_hard_links(path)?;
    let beside = lock::take_beside(path)?;
    // SQLite would create the file with the umask; its companions inherit the mode of the file.
    let file = create_private(path).map_err(|error| OpenError::from_io(path, error))?;
    let lock = beside.and_on(file, path)?;
    let kind = preflight(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error: rusqlite::Error| open_error(path, error);
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    prepare(&connection).map_err(failed)?;
    if kind == FileKind::New {
        make_shrinkable(&connection).map_err(failed)?;
    }
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
