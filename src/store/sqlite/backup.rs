//! Copies the store to a new file, also while a daemon writes it.
//!
//! The copy is read through a connection of its own, as of one instant: with a write-ahead log a reader does not block
//! the writer. So the daemon's lock is not needed. `VACUUM INTO` writes every page anew: the copy holds no deleted
//! data.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::{Builder, NamedTempFile};

use super::errors::open_error;
use super::migrate::{self, FileKind};
use super::open::open_reader;
use crate::store::error::{OpenError, StoreError};

/// The prefix of an unfinished copy; random letters follow. After a crash it stays behind and may be deleted.
pub const UNFINISHED: &str = ".meetwatch-backup-";

/// A finished copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backup {
    /// The position of the last event in it; 0 if there is none.
    pub position: u64,
    pub bytes: u64,
}

/// Why there is no copy. Nothing was changed, and no partial file is left.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("there is no store at {0}; nothing was copied")]
    NoStore(PathBuf),
    #[error("the store {0} cannot be read; run this as root or as the user that the daemon runs as")]
    Unreadable(PathBuf),
    #[error("{0} is there already and is not overwritten; name another file")]
    Exists(PathBuf),
    #[error("{0} does not name a file to write to; name one in a folder that is there")]
    NoFile(PathBuf),
    #[error("cannot write a backup to {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("there is no room for a backup in {0}; make room, or name a file elsewhere")]
    Full(PathBuf),
    #[error("the copy that was written to {0} is damaged and was deleted; look at that disk and the system's log")]
    Damaged(PathBuf),
    #[error(transparent)]
    Store(#[from] OpenError),
}

/// Copies the store at `store` to the new file `to` (mode 0600). The copy is checked before it gets its name. Works
/// with and without a running daemon. Blocks until the copy is done.
///
/// # Errors
/// [`BackupError`], each a sentence with its remedy.
pub fn back_up(store: &Path, to: &Path) -> Result<Backup, BackupError> {
    let (folder, file) = place(to)?;
    let to = folder.join(file);
    if to.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(to));
    }
    let source = open_source(store)?;
    let unwritten = |source| BackupError::Write { path: to.clone(), source };
    let copy = Builder::new().prefix(UNFINISHED).tempfile_in(&folder).map_err(unwritten)?;
    write(&source, store, &copy, &folder)?;
    let position = check(copy.path()).ok_or_else(|| BackupError::Damaged(folder.clone()))?;
    copy.as_file().sync_all().map_err(unwritten)?;
    let bytes = copy.as_file().metadata().map_err(unwritten)?.len();
    copy.persist_noclobber(&to).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(to.clone()),
        _ => unwritten(error.error),
    })?;
    // The folder's entry has to survive a power failure, too.
    File::open(&folder).and_then(|folder| folder.sync_all()).map_err(unwritten)?;
    Ok(Backup { position, bytes })
}

/// Returns the canonical folder and the file's name in it.
fn place(to: &Path) -> Result<(PathBuf, &OsStr), BackupError> {
    let nowhere = || BackupError::NoFile(to.to_owned());
    let file = to.file_name().ok_or_else(nowhere)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((folder.canonicalize().map_err(|_| nowhere())?, file))
}

fn open_source(store: &Path) -> Result<Connection, BackupError> {
    // SQLite reports all of these only as "cannot open".
    File::open(store).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => BackupError::NoStore(store.to_owned()),
        io::ErrorKind::PermissionDenied => BackupError::Unreadable(store.to_owned()),
        _ => OpenError::Io { path: store.to_owned(), cause: error }.into(),
    })?;
    let connection = open_reader(store).map_err(|error| open_error(store, error))?;
    match migrate::check(&connection, store)? {
        FileKind::Store => Ok(connection),
        FileKind::New => Err(BackupError::NoStore(store.to_owned())),
    }
}

fn write(source: &Connection, store: &Path, copy: &NamedTempFile, folder: &Path) -> Result<(), BackupError> {
    // The statement takes the path as text.
    let path = copy.path().to_str().ok_or_else(|| BackupError::NoFile(folder.to_owned()))?;
    let written = source.execute("VACUUM INTO ?1", [path]);
    written.map(drop).map_err(|error| match StoreError::from(error) {
        StoreError::Full => BackupError::Full(folder.to_owned()),
        error => OpenError::from_store(store, error).into(),
    })
}

/// Reads the whole copy. Returns the position of its last event; `None` if it is damaged.
fn check(copy: &Path) -> Option<u64> {
    let connection = open_reader(copy).ok()?;
    let check = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)).ok()?;
    let last = connection.query_row("SELECT coalesce(max(position), 0) FROM events", [], |row| row.get::<_, i64>(0));
    u64::try_from(last.ok()?).ok().filter(|_| check == "ok")
}
