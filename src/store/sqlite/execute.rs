//! Executes one request of any kind.

use jiff::Timestamp;
use rusqlite::Connection;

use super::{admin_sql, clock_marks, commit, exchange, forget, prune};
use crate::store::error::CommitError;
use crate::store::request::{Operation, Pending, Request};

/// Executes a request and puts the result into it. Returns the position of the last event that it appended.
pub(super) fn execute(connection: &Connection, request: &mut Request) -> Option<u64> {
    let mut appended = None;
    match request {
        Request::Commit(pending) => run(pending, |commit, now| {
            appended = commit::commit(connection, commit, now)?;
            Ok(())
        }),
        Request::Exchange(pending) => run(pending, |request, now| Ok(exchange::exchange(connection, request, now)?)),
        Request::Prune(pending) => run(pending, |request, now| Ok(prune::step(connection, request, now)?)),
        Request::CheckClock(pending) => run(pending, |check, _| Ok(clock_marks::check(connection, *check)?)),
        Request::Admin(pending) => run(pending, |request, now| Ok(admin_sql::apply(connection, request, now)?)),
        Request::Forget(pending) => run(pending, |request, now| forget::step(connection, request, now)),
    }
    appended.and_then(|position| u64::try_from(position).ok())
}

fn run<O: Operation>(pending: &mut Pending<O>, execute: impl FnOnce(&O, Timestamp) -> Result<O::Reply, CommitError>) {
    pending.result = Some(execute(&pending.operation, pending.now));
}
