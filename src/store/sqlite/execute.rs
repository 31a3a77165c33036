//! Executes one request of any kind.

use jiff::Timestamp;
use rusqlite::Connection;

use super::{admin_sql, clock_marks, commit, exchange, forget, prune};
use crate::store::error::WriteError;
use crate::store::request::{Operation, Pending, WriteRequest};

/// Executes a request and puts the result into it. Returns the position of the last event that it appended.
pub(super) fn execute(connection: &Connection, request: &mut WriteRequest) -> Option<u64> {
    let mut appended = None;
    match request {
        WriteRequest::Commit(pending) => run(pending, |commit, now| {
            appended = commit::commit(connection, commit, now)?;
            Ok(())
        }),
        WriteRequest::Exchange(pending) => {
            run(pending, |request, now| Ok(exchange::exchange(connection, request, now)?));
        }
        WriteRequest::Prune(pending) => run(pending, |request, now| Ok(prune::step(connection, request, now)?)),
        WriteRequest::CheckClock(pending) => run(pending, |check, _| Ok(clock_marks::check(connection, *check)?)),
        WriteRequest::Admin(pending) => run(pending, |request, now| Ok(admin_sql::apply(connection, request, now)?)),
        WriteRequest::Forget(pending) => run(pending, |request, now| forget::step(connection, request, now)),
    }
    appended.and_then(|position| u64::try_from(position).ok())
}

fn run<O: Operation>(pending: &mut Pending<O>, execute: impl FnOnce(&O, Timestamp) -> Result<O::Output, WriteError>) {
    pending.result = Some(execute(&pending.operation, pending.now));
}
