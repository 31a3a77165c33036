//! Detects that a file of the open store was deleted, moved or replaced.
//!
//! A process can still write to a deleted file that it has open; everything written is lost when the file is closed. So
//! the files are checked before each transaction. The check costs a few microseconds.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The suffixes of the files: the database, SQLite's companions, and the lock.
const SUFFIXES: [&str; 4] = ["", "-wal", "-shm", ".lock"];

/// How many of them, from the first on, grow with what is stored.
const SIZED: usize = 2;

/// The files as they were when the store was opened.
#[derive(Debug)]
pub(super) struct StoreFiles(Vec<(PathBuf, FileId)>);

#[derive(Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl StoreFiles {
    /// Remembers the files as they are now.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let mut files = Vec::with_capacity(SUFFIXES.len());
        for suffix in SUFFIXES {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            let file = PathBuf::from(name);
            let id = file_id(&file)?;
            files.push((file, id));
        }
        Ok(Self(files))
    }

    /// Returns the size of the database and its write-ahead log, in bytes. A file that is missing counts as empty.
    pub(super) fn size(&self) -> u64 {
        let of = |(path, _): &(PathBuf, FileId)| fs::metadata(path).map_or(0, |metadata| metadata.len());
        self.0.iter().take(SIZED).map(of).sum()
    }

    /// Whether each path still leads to the same file.
    pub(super) fn are_unchanged(&self) -> bool {
        self.0.iter().all(|(path, before)| file_id(path).is_ok_and(|now| now == *before))
    }
}

/// Opens the database file, which only its owner may read if it is new.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn file_id(path: &Path) -> io::Result<FileId> {
    let metadata = fs::metadata(path)?;
    Ok(FileId { device: metadata.dev(), inode: metadata.ino() })
}
