//! A look for damage when the store is opened, within a bound: a small store is read whole, a large one as far as the
//! time reaches, so that no store makes a start slow. What lies further back shows when it is read.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::error::StoreError;

/// How long a start may spend on looking.
const BOUND: Duration = Duration::from_millis(200);

/// Fails with [`StoreError::Corrupt`] where damage is found in time.
pub(super) fn examine(connection: &Connection) -> Result<(), StoreError> {
    let interrupt = connection.get_interrupt_handle();
    let (looked, looking) = mpsc::channel::<()>();
    let clock = thread::Builder::new().name("store-look".to_owned()).spawn(move || {
        if looking.recv_timeout(BOUND) == Err(RecvTimeoutError::Timeout) {
            interrupt.interrupt();
        }
    });
    let Ok(clock) = clock else { return Ok(()) };
    let found = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    drop(looked);
    // It does nothing that could panic, and if it did, nothing would be interrupted any more.
    let _ = clock.join();
    match found {
        Ok(verdict) if verdict == "ok" => Ok(()),
        Ok(_) => Err(StoreError::Corrupt),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
