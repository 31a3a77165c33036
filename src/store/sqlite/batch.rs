//! The membership of batches: events of one conference that go to an endpoint in one delivery.
//!
//! The head of a lane waits for others, and is due once it waited long enough or the batch is full (`batch_wait`). When
//! it is first claimed the batch is *frozen* (`claim::batches`): its members are stored, and stay the same over retries
//! and restarts. The first member leads: it is the lane's head, it holds the lease, the attempts and the next due time,
//! and its record holds for all. The other members stay pending and cannot be claimed, because none of them is a head.
//!
//! A member whose leader is finished (an operator replayed or skipped it alone) can be claimed again, and so can the
//! members of a batch when the endpoint takes no batches any more.

use crate::store::error::StoreError;
use crate::store::outbox::DeliveryId;
use rusqlite::Connection;

/// Dissolves a batch: its unfinished members are sent alone.
pub(super) fn dissolve(connection: &Connection, batch: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE deliveries SET batch = NULL, batch_id = NULL WHERE batch = ?1 AND state IN ('pending', 'leased')",
        )?
        .execute([batch])?;
    Ok(())
}

/// Copies the state of a batch's leader to the other members and returns how many these are.
pub(super) fn follow(connection: &Connection, leader: DeliveryId) -> Result<i64, StoreError> {
    let others = connection
        .prepare_cached(
            "UPDATE deliveries SET (state, attempts, reason, finished_at) =
                 (SELECT l.state, l.attempts, l.reason, l.finished_at FROM deliveries l WHERE l.id = ?1)
             WHERE batch = ?1 AND id <> ?1 AND state = 'pending'",
        )?
        .execute([leader.0])?;
    Ok(i64::try_from(others).unwrap_or(i64::MAX))
}
