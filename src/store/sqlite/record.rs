//! Records the attempts of claimed deliveries.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::counters::{self, CounterChange};
use super::values::nanos;
use super::{batch, endpoints, lanes};
use crate::store::error::StoreError;
use crate::store::outbox::{AttemptRecord, AttemptResult, AttemptRow, DeliveryId};

/// The changes to lanes and counters that the records of a round make together, written once at the end.
#[derive(Default)]
pub(super) struct RecordEffects {
    /// The lanes whose head was finished, and the last position that was.
    finished: BTreeMap<i64, i64>,
    /// The counters of deliveries, by endpoint.
    changes: BTreeMap<i64, CounterChange>,
    /// How many attempts succeeded and failed, by endpoint.
    attempts: BTreeMap<i64, (i64, i64)>,
}

impl RecordEffects {
    /// Advances the lanes and updates the counters.
    pub(super) fn apply(self, connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
        for (lane, position) in self.finished {
            lanes::advance(connection, lane, position, now)?;
        }
        for (endpoint, change) in self.changes {
            counters::add(connection, endpoint, change)?;
        }
        for (endpoint, attempts) in self.attempts {
            counters::add_attempts(connection, endpoint, attempts, now)?;
        }
        Ok(())
    }
}

/// The columns of the recorded delivery.
struct Recorded {
    position: i64,
    endpoint: i64,
    lane: i64,
    attempts: u32,
    /// It leads a batch.
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

/// Writes one record; false if its claim is over.
pub(super) fn write(
    connection: &Connection,
    record: &AttemptRecord,
    now: Timestamp,
    effects: &mut RecordEffects,
) -> Result<bool, StoreError> {
    let reason = record.attempt.as_ref().and_then(|attempt| attempt.reason);
    let recorded = match &record.result {
        AttemptResult::Done => finish(connection, record, "done", None, now)?,
        AttemptResult::Dead { reason } => finish(connection, record, "dead", Some(reason), now)?,
        AttemptResult::Retry { .. } => retry(connection, record, now)?,
        AttemptResult::EndpointOff { reason } => release(connection, record, Some(reason))?,
        AttemptResult::Release => release(connection, record, reason)?,
    };
    let Some(recorded) = recorded else { return Ok(false) };
    if let Some(attempt) = &record.attempt {
        write_attempt(connection, record.delivery, recorded.attempts, attempt)?;
        let (arrived, failed) = effects.attempts.entry(recorded.endpoint).or_default();
        *(if reason.is_none() { arrived } else { failed }) += 1;
    }
    let others = if recorded.leads { batch::follow(connection, record.delivery)? } else { 0 };
    match &record.result {
        AttemptResult::Done | AttemptResult::Dead { .. } => {
            effects.finished.insert(recorded.lane, recorded.position);
            let change = effects.changes.entry(recorded.endpoint).or_default();
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

/// Finishes a delivery. Its lane advances in [`RecordEffects::apply`].
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

/// Schedules the next attempt: no later than the end of the hold if others wait behind the delivery.
fn retry(connection: &Connection, record: &AttemptRecord, now: Timestamp) -> Result<Option<Recorded>, StoreError> {
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
                    hold_until = :hold_until, failures = :failures, rejections = :rejections, lease_until = NULL,
                    -- What failed only because of the endpoint holds nobody back for its own sake.
                    tried_since = CASE WHEN :failures + :rejections > 0 THEN coalesce(tried_since, :began_at) END
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

/// Makes a delivery pending as it was before the claim.
fn release(
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
