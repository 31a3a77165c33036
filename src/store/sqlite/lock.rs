//! The locks that keep a second process from opening the store.
//!
//! One is on the file `<store>.lock`, the other on the database file itself, which holds by whatever path the file is
//! reached: another name of it, a mount, or a file that was renamed. Both are `flock` locks; SQLite's own are POSIX
//! locks, which know nothing of them. **The handle of the database file is closed only after SQLite's:** closing any
//! handle of a file ends all POSIX locks that the process has on it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::store::error::OpenError;

/// The file systems that turn a `flock` lock into POSIX locks on the server, where it would collide with SQLite's: NFS,
/// CIFS and SMB2, by their numbers in `linux/magic.h`.
const SHARED_FILE_SYSTEMS: [u32; 3] = [0x6969, 0xff53_4d42, 0xfe53_4d42];

/// The lock on `<store>.lock`. The file stays when the store is closed; only the lock on it counts.
#[derive(Debug)]
pub(super) struct LockBeside(HeldLock);

/// Held while the store is open.
#[derive(Debug)]
pub(super) struct StoreLock {
    _held: [HeldLock; 2],
}

/// A file that is locked. It is unlocked before it is closed: a process that another thread is just starting holds the same
/// handle until it runs its program, and the lock with it.
#[derive(Debug)]
struct HeldLock(File);

impl Drop for HeldLock {
    fn drop(&mut self) {
        // Closing the file unlocks it as well.
        let _unlocked = self.0.unlock();
    }
}

/// Refuses a store that has several names: each of them would have a write-ahead log of its own.
pub(super) fn refuse_hard_links(path: &Path) -> Result<(), OpenError> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => one_name(&found, path),
        // A missing file is created, and whatever else it is fails when it is opened.
        _ => Ok(()),
    }
}

fn one_name(found: &fs::Metadata, path: &Path) -> Result<(), OpenError> {
    match found.nlink() {
        0 | 1 => Ok(()),
        names => Err(OpenError::HardLinked { path: path.to_owned(), names }),
    }
}

/// Locks the file `<store>.lock`.
pub(super) fn take_beside(path: &Path) -> Result<LockBeside, OpenError> {
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
    lock(&file, path)?;
    Ok(LockBeside(HeldLock(file)))
}

impl LockBeside {
    /// Also locks the database file.
    pub(super) fn and_on(self, file: File, path: &Path) -> Result<StoreLock, OpenError> {
        let found = file.metadata().map_err(|error| OpenError::from_io(path, error))?;
        one_name(&found, path)?;
        if !is_shared(&file) {
            lock(&file, path)?;
        }
        Ok(StoreLock { _held: [self.0, HeldLock(file)] })
    }
}

fn lock(file: &File, path: &Path) -> Result<(), OpenError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(OpenError::from_io(path, error)),
    }
}

fn is_shared(file: &File) -> bool {
    // The type of the number differs between platforms; the magic numbers have 32 bits.
    rustix::fs::fstatfs(file).is_ok_and(|found| SHARED_FILE_SYSTEMS.contains(&(found.f_type as u32)))
}
