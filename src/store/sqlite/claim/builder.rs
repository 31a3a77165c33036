//! The claim under construction, and the steps that every way of claiming shares.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::candidate::{Candidate, DUE};
use crate::store::error::StoreError;
use crate::store::outbox::{Claimed, DeliveryId};
use crate::store::sqlite::counters::CounterChange;
use crate::store::sqlite::endpoints::EndpointRules;
use crate::store::sqlite::values::nanos;

/// One claim reads no more bytes of event bodies than this, except for the body that goes beyond it.
pub(super) const MOST_BYTES: usize = 1 << 20;

/// A claim under construction: what was claimed so far, and how the counters change.
pub(super) struct ClaimBuilder<'c> {
    pub(super) connection: &'c Connection,
    pub(super) rules: EndpointRules,
    pub(super) endpoint: i64,
    pub(super) now: Timestamp,
    pub(super) claimed: Vec<Claimed>,
    /// The size of all bodies read so far.
    pub(super) bytes: usize,
    pub(super) change: CounterChange,
}

impl ClaimBuilder<'_> {
    /// Returns the due heads, the longest overdue first.
    pub(super) fn due(&mut self, limit: usize) -> Result<Vec<Candidate>, StoreError> {
        let mut heads = Vec::new();
        let mut statement = self.connection.prepare_cached(DUE)?;
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![self.endpoint, nanos(self.now), most])?;
        while let Some(row) = rows.next()? {
            let head = Candidate::read(row, self.now)?;
            self.bytes += head.claimed.body.len();
            heads.push(head);
            if self.bytes > MOST_BYTES {
                break;
            }
        }
        Ok(heads)
    }

    /// Whether the endpoint wants no event that old. A replayed delivery is never too old.
    pub(super) fn is_too_old(&self, candidate: &Candidate) -> bool {
        let oldest = self.rules.max_age.map(|age| self.now.saturating_sub(age).unwrap_or(Timestamp::MIN));
        !candidate.replayed && oldest.is_some_and(|oldest| candidate.claimed.time < oldest)
    }

    /// Expires a delivery.
    pub(super) fn expire(&mut self, delivery: DeliveryId) -> Result<(), StoreError> {
        self.finish(delivery.0, "expired", "max_age")?;
        self.change.owed -= 1;
        self.change.expired += 1;
        Ok(())
    }

    /// Ends a delivery in a final state.
    pub(super) fn finish(&self, delivery: i64, state: &str, reason: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE deliveries SET state = ?2, head = 0, reason = ?3, finished_at = ?4 WHERE id = ?1")?
            .execute(params![delivery, state, reason, nanos(self.now)])?;
        Ok(())
    }

    /// Leases everything that was claimed.
    pub(super) fn lease(&self, until: i64) -> Result<(), StoreError> {
        let mut lease = self.connection.prepare_cached(
            "UPDATE deliveries SET state = 'leased', claims = claims + 1, lease_until = ?2, owed_at = min(owed_at, ?3),
                                   tried_since = min(tried_since, ?3)
             WHERE id = ?1",
        )?;
        for claimed in &self.claimed {
            lease.execute([claimed.delivery.0, until, nanos(self.now)])?;
        }
        Ok(())
    }
}
