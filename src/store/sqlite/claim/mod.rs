//! Claims deliveries of one endpoint: due ones, batches of them, or a probe.

mod batches;
mod builder;
mod candidate;
mod due;
mod probe;

use jiff::Timestamp;
use rusqlite::Connection;

use builder::ClaimBuilder;

use super::counters::{self, CounterChange};
use super::endpoints::{self, EndpointRules};
use super::values::{nanos, optional_time};
use crate::clock::saturating_add;
use crate::model::EndpointName;
use crate::store::endpoint::StoredBreaker;
use crate::store::error::StoreError;
use crate::store::outbox::{ClaimRequest, EndpointReply, Pick};

/// Claims what is asked for.
pub(super) fn claim(
    connection: &Connection,
    request: &ClaimRequest,
    now: Timestamp,
) -> Result<EndpointReply, StoreError> {
    let endpoint = endpoints::number_of(connection, &request.endpoint)?;
    let rules = endpoints::rules_of(connection, endpoint)?;
    let mut reply = empty_reply(&request.endpoint, rules);
    if !rules.on {
        return Ok(reply);
    }
    let horizon = nanos(saturating_add(now, request.longest_wait));
    connection
        .prepare_cached(
            "UPDATE deliveries SET due_at = ?2 WHERE endpoint = ?1 AND head = 1 AND state = 'pending' AND due_at > ?2",
        )?
        .execute([endpoint, horizon])?;
    let change = CounterChange::default();
    let mut builder = ClaimBuilder { connection, rules, endpoint, now, claimed: Vec::new(), bytes: 0, change };
    match &request.pick {
        Pick::Due { .. } if matches!(rules.breaker, StoredBreaker::Open { .. }) => {}
        Pick::Due { limit, .. } if rules.batching.is_some() => builder.take_batches(*limit)?,
        Pick::Due { limit, run } => builder.take_due(*limit, *run)?,
        Pick::Probe { not_of, window } => {
            builder.bury(nanos(now.saturating_sub(*window).unwrap_or(Timestamp::MIN)))?;
            builder.take_probe(not_of)?;
        }
    }
    builder.lease(nanos(saturating_add(now, request.lease)))?;
    counters::add(connection, endpoint, builder.change)?;
    reply.expired = builder.change.expired.unsigned_abs();
    reply.buried = builder.change.dead.unsigned_abs();
    reply.claimed = builder.claimed;
    let next: Option<i64> = connection
        .prepare_cached(
            "SELECT min(due_at) FROM deliveries INDEXED BY deliveries_due
             WHERE endpoint = ?1 AND head = 1 AND state = 'pending'",
        )?
        .query_row([endpoint], |row| row.get(0))?;
    reply.next_due = optional_time(next)?;
    Ok(reply)
}

fn empty_reply(endpoint: &EndpointName, rules: EndpointRules) -> EndpointReply {
    EndpointReply {
        endpoint: endpoint.clone(),
        enabled: rules.on,
        breaker: rules.breaker,
        claimed: Vec::new(),
        expired: 0,
        buried: 0,
        next_due: None,
    }
}
