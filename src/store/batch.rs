//! All SQL about batches: events of one conference that go to an endpoint in one delivery.
//!
//! The first of a lane waits for others, and is due once it waited long enough or there are enough. When it is first claimed
//! the batch is *frozen*: its members are noted, and stay the same over retries, restarts and replicas. The first leads: it
//! is the lane's head, it holds the lease, the attempts and the next due time, and what is recorded of it holds for all. The
//! others stay pending, and cannot be claimed, because none of them is a head.
//!
//! What is in a batch whose leader is over (an operator replayed or skipped it alone) is free again, and so is what is found
//! in one when the endpoint takes none any more.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::claim::{BATCH, Candidate, Hand, MOST_BYTES, RUN};
use super::delivery::{Batched, DeliveryId};
use super::endpoints;
use super::error::StoreError;
use super::lanes;
use super::repair::Batching;
use super::values::nanos;
use crate::clock::saturating_add;
use crate::model::BatchId;

/// No batch holds more bytes of events than this, but for an event that alone does.
const BATCH_BYTES: usize = 256 << 10;

impl Hand<'_> {
    /// A batch for each head that is due.
    pub(super) fn take_batches(&mut self, limit: usize) -> Result<(), StoreError> {
        let Some(batching) = self.rules.batching else { return Ok(()) };
        for head in self.due(limit)? {
            if self.bytes > MOST_BYTES && !self.claimed.is_empty() {
                break;
            }
            self.take_batch(head, batching)?;
        }
        Ok(())
    }

    /// The batch that a head leads, frozen now or before.
    pub(super) fn take_batch(&mut self, head: Candidate, batching: Batching) -> Result<(), StoreError> {
        let lane = head.claimed.lane.0;
        let frozen = head.batch == Some(head.claimed.delivery.0);
        let all = if frozen { self.frozen(head.claimed.delivery)? } else { self.gather(head, batching)? };
        let mut over = None;
        let mut members = Vec::with_capacity(all.len());
        // Once frozen, it is sent whole as long as anything in it is worth it: what is sent again is the same.
        let whole = frozen && all.iter().any(|member| !self.is_too_old(member));
        for member in all {
            if whole || !self.is_too_old(&member) {
                members.push(member);
            } else {
                self.expire(member.claimed.delivery)?;
                over = Some(member.position);
            }
        }
        if let Some(over) = over {
            lanes::advance(self.connection, lane, over, self.now)?;
        }
        if !frozen {
            freeze(self.connection, &members)?;
        }
        self.hand_out(members);
        Ok(())
    }

    fn frozen(&self, leader: DeliveryId) -> Result<Vec<Candidate>, StoreError> {
        let mut statement = self.connection.prepare_cached(BATCH)?;
        let mut rows = statement.query([leader.0])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(Candidate::read(row, self.now)?);
        }
        Ok(all)
    }

    /// A head and what may go with it.
    fn gather(&mut self, head: Candidate, batching: Batching) -> Result<Vec<Candidate>, StoreError> {
        let mut bytes = head.claimed.body.len();
        let mut statement = self.connection.prepare_cached(RUN)?;
        let mut rows = statement.query(params![head.claimed.lane.0, head.position, batching.max_events - 1])?;
        let mut all = vec![head];
        while let Some(row) = rows.next()? {
            let next = Candidate::read(row, self.now)?;
            bytes += next.claimed.body.len();
            let leads = next.batch == Some(next.claimed.delivery.0);
            let failed_alone = next.claimed.attempts > 0 && next.batch.is_none();
            if bytes > BATCH_BYTES || !next.pending || next.settling || leads || failed_alone {
                break;
            }
            self.bytes += next.claimed.body.len();
            all.push(next);
        }
        Ok(all)
    }

    fn hand_out(&mut self, members: Vec<Candidate>) {
        let mut members = members.into_iter().map(|member| member.claimed);
        let Some(mut leader) = members.next() else { return };
        let mut others = Vec::with_capacity(members.len());
        for member in members {
            // The youngest has its whole window; what waits behind the last waits behind all.
            leader.owed_at = leader.owed_at.max(member.owed_at);
            leader.others_wait = member.others_wait;
            let (event, event_type) = (member.event, member.event_type);
            others.push(Batched { event, event_type, time: member.time, body: member.body });
        }
        leader.batch = Some(others);
        self.claimed.push(leader);
    }
}

/// Notes who is in a batch.
fn freeze(connection: &Connection, members: &[Candidate]) -> Result<(), StoreError> {
    let Some(leader) = members.first().map(|member| member.claimed.delivery.0) else { return Ok(()) };
    let id = BatchId::of(members.iter().map(|member| &member.claimed.event));
    let mut note = connection.prepare_cached("UPDATE deliveries SET batch = ?2, batch_id = ?3 WHERE id = ?1")?;
    for member in members {
        let delivery = member.claimed.delivery.0;
        note.execute(params![delivery, leader, (delivery == leader).then_some(id.as_str())])?;
    }
    Ok(())
}

/// Lets everything that is still owed of a batch go alone.
pub(super) fn dissolve(connection: &Connection, batch: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE deliveries SET batch = NULL, batch_id = NULL WHERE batch = ?1 AND state IN ('pending', 'leased')",
        )?
        .execute([batch])?;
    Ok(())
}

/// Makes what became of a batch's leader true of all others, and says how many these are.
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

/// The head of a lane has just got its turn: where its endpoint takes batches, it waits for others.
pub(super) fn await_others(
    connection: &Connection,
    (endpoint, lane): (i64, i64),
    now: Timestamp,
) -> Result<(), StoreError> {
    match endpoints::batching_of(connection, endpoint)? {
        Some(batching) => await_more(connection, lane, batching, now),
        None => Ok(()),
    }
}

/// Lets the head of a lane wait for others, from its commit on, unless enough are there.
pub(super) fn await_more(
    connection: &Connection,
    lane: i64,
    batching: Batching,
    now: Timestamp,
) -> Result<(), StoreError> {
    let head = first(connection, lane)?.filter(|head| head.is_fresh);
    let Some(head) = head else { return Ok(()) };
    let waits = saturating_add(head.owed_at, batching.max_wait);
    // A commit ahead of now was made by a clock that was wrong.
    let due_at = nanos(waits.min(saturating_add(now, batching.max_wait))).max(head.due_at);
    connection.prepare_cached("UPDATE deliveries SET due_at = ?2 WHERE id = ?1")?.execute([head.delivery, due_at])?;
    send_if_full(connection, lane, batching, now)
}

/// Makes the head of a lane due where a whole batch is there.
pub(super) fn send_if_full(
    connection: &Connection,
    lane: i64,
    batching: Batching,
    now: Timestamp,
) -> Result<(), StoreError> {
    let head = first(connection, lane)?.filter(|head| head.is_fresh && head.due_at > nanos(now));
    let Some(head) = head else { return Ok(()) };
    let mut statement = connection.prepare_cached(
        "SELECT coalesce(settle_until, 0) > ?2 FROM deliveries INDEXED BY deliveries_open
         WHERE lane = ?1 AND state IN ('pending', 'leased') ORDER BY position LIMIT ?3",
    )?;
    let mut rows = statement.query(params![lane, nanos(now), batching.max_events])?;
    let mut there = 0;
    while let Some(row) = rows.next()? {
        if row.get(0)? {
            return Ok(());
        }
        there += 1;
    }
    if there >= batching.max_events {
        connection
            .prepare_cached("UPDATE deliveries SET due_at = ?2 WHERE id = ?1")?
            .execute([head.delivery, nanos(now)])?;
    }
    Ok(())
}

/// The first that is owed of a lane.
struct First {
    delivery: i64,
    due_at: i64,
    owed_at: Timestamp,
    /// It is not being sent, was never tried, and nobody asked for it once more.
    is_fresh: bool,
}

fn first(connection: &Connection, lane: i64) -> Result<Option<First>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, due_at, owed_at, state = 'pending' AND attempts = 0 AND batch IS NULL AND replayed_at IS NULL
         FROM deliveries INDEXED BY deliveries_open
         WHERE lane = ?1 AND state IN ('pending', 'leased') ORDER BY position LIMIT 1",
    )?;
    let found = statement
        .query_row([lane], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get(3)?)))
        .optional()?;
    let Some((delivery, due_at, owed_at, is_fresh)) = found else { return Ok(None) };
    Ok(Some(First { delivery, due_at, owed_at: super::values::time(owed_at)?, is_fresh }))
}
