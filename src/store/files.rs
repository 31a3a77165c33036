//! Whether the files of the open store are still those that its path leads to.
//!
//! A file that was deleted can still be written to, by those who have it open, and all of it is lost when they close it.
//! So this is looked at before each transaction; it costs a few microseconds.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What SQLite and the lock add to the store's path.
const BESIDE: [&str; 4] = ["", "-wal", "-shm", ".lock"];

/// The files as they were when the store was opened.
#[derive(Debug)]
pub(super) struct Files(Vec<(PathBuf, Identity)>);

#[derive(Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Files {
    /// Notes which files there are now.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let mut files = Vec::with_capacity(BESIDE.len());
        for suffix in BESIDE {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            let file = PathBuf::from(name);
            let identity = identity(&file)?;
            files.push((file, identity));
        }
        Ok(Self(files))
    }

    /// Whether each is where it was, and is itself.
    pub(super) fn are_there(&self) -> bool {
        self.0.iter().all(|(path, before)| identity(path).is_ok_and(|now| now == *before))
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    let metadata = fs::metadata(path)?;
    Ok(Identity { device: metadata.dev(), inode: metadata.ino() })
}
