//! Examines a store before it is opened, and changes nothing: neither the file, nor its write-ahead log, nor SQLite's
//! index of that log. An ordinary connection would copy the log into the file when it is closed, and a log that belongs
//! to another generation of the store would destroy it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::errors::open_error;
use super::migrate::{self, FileKind};
use super::quick_check::quick_check;
use crate::store::error::{OpenError, StoreError};

/// What has a meaning in the path of a `file:` address.
const SPECIAL: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#').add(b' ');

/// How long a reader of the store, such as a backup, is waited for where it has to be.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Checks whether this version can open the file, and whether the file is sound.
pub(super) fn preflight(path: &Path) -> Result<FileKind, OpenError> {
    // Alone, SQLite keeps its index of the log in memory.
    let alone = checked(path, true);
    let checked = match alone {
        // Somebody reads the store, for example a backup. Then the index is shared, and only that file may change.
        Err(OpenError::Store { cause: StoreError::Busy, .. }) => checked(path, false),
        alone => alone,
    };
    match checked {
        Err(OpenError::Corrupt(_)) if has_log(path) && is_sound_without_log(path) => {
            Err(OpenError::ForeignLog(path.to_owned()))
        }
        checked => checked,
    }
}

fn checked(path: &Path, alone: bool) -> Result<FileKind, OpenError> {
    let failed = |error: rusqlite::Error| open_error(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(failed)?;
    connection.busy_timeout(if alone { Duration::ZERO } else { BUSY_TIMEOUT }).map_err(failed)?;
    if alone {
        let exclusive = connection.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()));
        exclusive.map_err(failed)?;
    }
    let kind = migrate::check(&connection, path)?;
    if is_cut_short(&connection, path).map_err(failed)? {
        return Err(OpenError::Corrupt(path.to_owned()));
    }
    quick_check(&connection).map_err(|error| OpenError::from_store(path, error))?;
    Ok(kind)
}

/// Whether pages are missing at the end of the file. SQLite reads a page that is cut short as if the rest were zero. While
/// there is a log, the missing pages may be in it.
fn is_cut_short(connection: &Connection, path: &Path) -> rusqlite::Result<bool> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let bytes = u64::try_from(number("page_count")?.saturating_mul(number("page_size")?)).unwrap_or(u64::MAX);
    Ok(!has_log(path) && path.metadata().is_ok_and(|found| found.len() < bytes))
}

fn has_log(path: &Path) -> bool {
    let mut log = OsString::from(path);
    log.push("-wal");
    PathBuf::from(log).metadata().is_ok_and(|found| found.len() > 0)
}

/// Whether the file alone is a sound store. It is read as if it never changed, which leaves the log aside.
fn is_sound_without_log(path: &Path) -> bool {
    let address = format!("file:{}?immutable=1", percent_encode(path.as_os_str().as_bytes(), SPECIAL));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let Ok(connection) = Connection::open_with_flags(address, flags) else { return false };
    matches!(migrate::check(&connection, path), Ok(FileKind::Store)) && quick_check(&connection).is_ok()
}
