//! Claims batches: gathers and freezes new ones, repeats frozen ones.

use rusqlite::{Connection, params};

use super::builder::{ClaimBuilder, MOST_BYTES};
use super::candidate::{BATCH, Candidate, RUN};
use crate::model::BatchId;
use crate::store::endpoint::Batching;
use crate::store::error::StoreError;
use crate::store::outbox::{Batched, DeliveryId};
use crate::store::sqlite::lanes;

/// A batch holds no more bytes of event bodies than this, unless a single event does.
const BATCH_BYTES: usize = 256 << 10;

impl ClaimBuilder<'_> {
    /// Claims a batch for each due head.
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

    /// Claims the batch that a head leads, and freezes it unless it is frozen already.
    pub(super) fn take_batch(&mut self, head: Candidate, batching: Batching) -> Result<(), StoreError> {
        let lane = head.claimed.lane.0;
        let frozen = head.batch == Some(head.claimed.delivery.0);
        let all = if frozen { self.frozen(head.claimed.delivery)? } else { self.gather(head, batching)? };
        let mut over = None;
        let mut members = Vec::with_capacity(all.len());
        // A frozen batch is sent whole while any member is young enough: a retry sends the same batch.
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
        self.claim_members(members);
        Ok(())
    }

    /// Returns the members of a frozen batch.
    fn frozen(&self, leader: DeliveryId) -> Result<Vec<Candidate>, StoreError> {
        let mut statement = self.connection.prepare_cached(BATCH)?;
        let mut rows = statement.query([leader.0])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(Candidate::read(row, self.now)?);
        }
        Ok(all)
    }

    /// Returns a head and the deliveries that join its batch.
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

    /// Puts the members into one claim, led by the first.
    fn claim_members(&mut self, members: Vec<Candidate>) {
        let mut members = members.into_iter().map(|member| member.claimed);
        let Some(mut leader) = members.next() else { return };
        let mut others = Vec::with_capacity(members.len());
        for member in members {
            // The window counts from the youngest member; what waits behind the last member waits behind the batch.
            leader.owed_at = leader.owed_at.max(member.owed_at);
            leader.others_wait = member.others_wait;
            let (event, event_type) = (member.event, member.event_type);
            others.push(Batched { event, event_type, time: member.time, body: member.body });
        }
        leader.batch = Some(others);
        self.claimed.push(leader);
    }
}

/// Stores who is in a batch.
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
