//! Checks the store for damage when it is opened, within a time bound: a small store is read whole, a large one as far
//! as the time allows, so that no store makes the start slow. Damage in the rest shows when it is read.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::store::error::StoreError;
use rusqlite::{Connection, ErrorCode};

/// How long the check may take.
const BOUND: Duration = Duration::from_millis(200);

/// Fails with [`StoreError::Corrupt`] if damage is found in time.
pub(super) fn quick_check(connection: &Connection) -> Result<(), StoreError> {
    let interrupt = connection.get_interrupt_handle();
    let (checked, checking) = mpsc::channel::<()>();
    let timer = thread::Builder::new().name("store-check".to_owned()).spawn(move || {
        if checking.recv_timeout(BOUND) == Err(RecvTimeoutError::Timeout) {
            interrupt.interrupt();
        }
    });
    let Ok(timer) = timer else { return Ok(()) };
    let found = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    drop(checked);
    // The thread cannot panic; if it did, it would not interrupt any later statement.
    let _ = timer.join();
    match found {
        Ok(verdict) if verdict == "ok" => Ok(()),
        Ok(_) => Err(StoreError::Corrupt),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
