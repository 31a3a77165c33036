//! One round of a dispatcher with the outbox.

use jiff::Timestamp;
use rusqlite::Connection;

use super::record::{self, RecordEffects};
use super::{breaker, claim, endpoints, leases};
use crate::store::error::StoreError;
use crate::store::outbox::{OutboxReply, OutboxRequest};

/// Records earlier claims, stores the breakers, voids leases that ran out, and claims.
pub(super) fn exchange(
    connection: &Connection,
    request: &OutboxRequest,
    now: Timestamp,
) -> Result<OutboxReply, StoreError> {
    let mut reply = OutboxReply::default();
    let mut effects = RecordEffects::default();
    for record in &request.records {
        if !record::write(connection, record, now, &mut effects)? {
            reply.stale.push(record.delivery);
        }
    }
    effects.apply(connection, now)?;
    for (endpoint, to) in &request.breakers {
        breaker::set(connection, endpoints::number_of(connection, endpoint)?, *to, now)?;
    }
    leases::void_expired(connection, &request.in_flight, now)?;
    for asked in &request.claims {
        reply.endpoints.push(claim::claim(connection, asked, now)?);
    }
    Ok(reply)
}
