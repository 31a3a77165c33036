//! One round of a dispatcher with the outbox, and all SQL that records what came of its attempts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::delivery::{AttemptRecord, AttemptResult, AttemptRow, DeliveryId, OutboxReply, OutboxRequest};
use super::endpoints::{self, Change};
use super::error::StoreError;
use super::values::nanos;
use super::{batch, breaker, claim, lanes};

/// Records what came of earlier claims, notes how endpoints fare, gives up leases that ended, and claims what is asked for.
pub(super) fn exchange(
    connection: &Connection,
    request: &OutboxRequest,
    now: Timestamp,
) -> Result<OutboxReply, StoreError> {
    let mut reply = OutboxReply::default();
    let mut tally = Tally::default();
    for record in &request.records {
        if !write_record(connection, record, now, &mut tally)? {
            reply.stale.push(record.delivery);
        }
    }
    tally.settle_up(connection, now)?;
    for (endpoint, to) in &request.breakers {
        breaker::set(connection, endpoints::number_of(connection, endpoint)?, *to, now)?;
    }
    claim::end_leases(connection, &request.in_flight, now)?;
    for asked in &request.claims {
        reply.endpoints.push(claim::claim(connection, asked, now)?);
    }
    Ok(reply)
}

/// What many records change together: written once at the end.
#[derive(Default)]
struct Tally {
    /// The lanes whose head came to its end, and the last position that did.
    finished: BTreeMap<i64, i64>,
    /// By endpoint.
    changes: BTreeMap<i64, Change>,
    /// How many attempts arrived and failed, by endpoint.
    attempts: BTreeMap<i64, (i64, i64)>,
}

impl Tally {
    fn settle_up(self, connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
        for (lane, position) in self.finished {
            lanes::advance(connection, lane, position, now)?;
        }
        for (endpoint, change) in self.changes {
            endpoints::count(connection, endpoint, change)?;
        }
        for (endpoint, attempts) in self.attempts {
            endpoints::note_attempts(connection, endpoint, attempts, now)?;
        }
        Ok(())
    }
}

/// What a record has to know of its delivery.
struct Recorded {
    position: i64,
    endpoint: i64,
    lane: i64,
    attempts: u32,
    /// Whether it leads a batch.
    leads: bool,
}

impl Recorded {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            position: row.get(0)?,
            endpoint: row.get(1)?,
            lane: row.get(2)?,
            attempts: row.get(3)?,
            leads: row.get(4)?,
        })
    }
}

/// Writes one record; false where its claim is over.
fn write_record(
    connection: &Connection,
    record: &AttemptRecord,
    now: Timestamp,
    tally: &mut Tally,
) -> Result<bool, StoreError> {
    let reason = record.attempt.as_ref().and_then(|attempt| attempt.reason);
    let recorded = match &record.result {
        AttemptResult::Done => finish(connection, record, "done", None, now)?,
        AttemptResult::Dead { reason } => finish(connection, record, "dead", Some(reason), now)?,
        AttemptResult::Retry { .. } => put_off(connection, record, now)?,
        AttemptResult::EndpointOff { reason } => give_back(connection, record, Some(reason))?,
        AttemptResult::Release => give_back(connection, record, reason)?,
    };
    let Some(recorded) = recorded else { return Ok(false) };
    if let Some(attempt) = &record.attempt {
        write_attempt(connection, record.delivery, recorded.attempts, attempt)?;
        let (arrived, failed) = tally.attempts.entry(recorded.endpoint).or_default();
        *(if reason.is_none() { arrived } else { failed }) += 1;
    }
    let others = if recorded.leads { batch::follow(connection, record.delivery)? } else { 0 };
    match &record.result {
        AttemptResult::Done | AttemptResult::Dead { .. } => {
            tally.finished.insert(recorded.lane, recorded.position);
            let change = tally.changes.entry(recorded.endpoint).or_default();
            change.owed -= 1 + others;
            change.dead += if record.result == AttemptResult::Done { 0 } else { 1 + others };
        }
        AttemptResult::EndpointOff { reason } => endpoints::switch_off(connection, recorded.endpoint, reason, now)?,
        AttemptResult::Retry { .. } | AttemptResult::Release => {}
    }
    Ok(true)
}

fn write_attempt(
    connection: &Connection,
    delivery: DeliveryId,
    number: u32,
    attempt: &AttemptRow,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO attempts (delivery, number, began_at, duration, status, reason, answer)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            delivery.0,
            number,
            nanos(attempt.began_at),
            i64::try_from(attempt.duration.as_nanos()).unwrap_or(i64::MAX),
            attempt.status,
            attempt.reason,
            attempt.answer,
        ])?;
    Ok(())
}

/// Ends a delivery. The next of its lane has its turn after [`Tally::settle_up`].
fn finish(
    connection: &Connection,
    record: &AttemptRecord,
    state: &'static str,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<Option<Recorded>, StoreError> {
    let recorded = connection
        .prepare_cached(
            "UPDATE deliveries SET state = ?4, head = 0, attempts = attempts + ?3, reason = ?5, finished_at = ?6,
                                   lease_until = NULL
             WHERE id = ?1 AND state = 'leased' AND claims = ?2
             RETURNING position, endpoint, lane, attempts, batch IS id",
        )?
        .query_row(
            params![record.delivery.0, record.claim, record.attempt.is_some(), state, reason, nanos(now)],
            Recorded::read,
        )
        .optional()?;
    Ok(recorded)
}

/// Puts a delivery off to its next attempt: no later than its hold, where others wait behind it.
fn put_off(connection: &Connection, record: &AttemptRecord, now: Timestamp) -> Result<Option<Recorded>, StoreError> {
    let AttemptResult::Retry { at, hold_until, failures, rejections } = record.result else { return Ok(None) };
    let attempt = record.attempt.as_ref();
    let recorded = connection
        .prepare_cached(
            "UPDATE deliveries SET state = 'pending', attempts = attempts + :attempts, reason = :reason,
                    due_at = CASE WHEN EXISTS (
                        SELECT 1 FROM deliveries n INDEXED BY deliveries_open
                        WHERE n.lane = deliveries.lane
                              AND n.position > coalesce((SELECT max(m.position) FROM deliveries m
                                                         WHERE m.batch = deliveries.id), deliveries.position)
                              AND n.state IN ('pending', 'leased'))
                      AND (SELECT ordered FROM endpoints WHERE id = deliveries.endpoint)
                      THEN min(:at, max(:hold_until, :now)) ELSE :at END,
                    hold_until = :hold_until, tried_since = coalesce(tried_since, :began_at), failures = :failures,
                    rejections = :rejections, lease_until = NULL
             WHERE id = :id AND state = 'leased' AND claims = :claim
             RETURNING position, endpoint, lane, attempts, batch IS id",
        )?
        .query_row(
            named_params! {
                ":id": record.delivery.0,
                ":claim": record.claim,
                ":attempts": attempt.is_some(),
                ":reason": attempt.and_then(|attempt| attempt.reason),
                ":at": nanos(at),
                ":hold_until": nanos(hold_until),
                ":now": nanos(now),
                ":began_at": attempt.map(|attempt| nanos(attempt.began_at)),
                ":failures": failures,
                ":rejections": rejections,
            },
            Recorded::read,
        )
        .optional()?;
    Ok(recorded)
}

/// Makes a delivery owed as it was before the claim.
fn give_back(
    connection: &Connection,
    record: &AttemptRecord,
    reason: Option<&str>,
) -> Result<Option<Recorded>, StoreError> {
    let recorded = connection
        .prepare_cached(
            "UPDATE deliveries SET state = 'pending', attempts = attempts + ?3, reason = coalesce(?4, reason),
                                   lease_until = NULL
             WHERE id = ?1 AND state = 'leased' AND claims = ?2
             RETURNING position, endpoint, lane, attempts, batch IS id",
        )?
        .query_row(params![record.delivery.0, record.claim, record.attempt.is_some(), reason], Recorded::read)
        .optional()?;
    Ok(recorded)
}
