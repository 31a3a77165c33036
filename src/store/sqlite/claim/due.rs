//! Claims due deliveries one by one: each head, and a run of what follows it in its lane.

use rusqlite::params;

use super::builder::{ClaimBuilder, MOST_BYTES};
use super::candidate::{Candidate, RUN};
use crate::store::error::StoreError;
use crate::store::outbox::LaneId;
use crate::store::sqlite::{batch, lanes};

impl ClaimBuilder<'_> {
    /// Claims the due heads, and a run of what follows each in its lane.
    pub(super) fn take_due(&mut self, limit: usize, run: usize) -> Result<(), StoreError> {
        let heads = self.due(limit)?;
        let spare = limit.saturating_sub(heads.len());
        let run_length = if heads.is_empty() { 0 } else { (spare / heads.len()).min(run.saturating_sub(1)) };
        for head in heads {
            let (lane, position, alone) = (head.claimed.lane, head.position, !head.claimed.others_wait);
            let is_expired = self.take_or_expire(head)?;
            let mut expired = is_expired.then_some(position);
            if self.rules.ordered && !alone && run_length > 0 {
                expired = self.take_run(lane, position, run_length)?.or(expired);
            }
            if let Some(expired) = expired.filter(|_| self.rules.ordered) {
                lanes::advance(self.connection, lane.0, expired, self.now)?;
            }
        }
        Ok(())
    }

    /// Claims what follows in a lane, up to the first that is not due or failed before. Returns the position of the
    /// last that expired.
    fn take_run(&mut self, lane: LaneId, after: i64, most: usize) -> Result<Option<i64>, StoreError> {
        let mut run = Vec::new();
        {
            let mut statement = self.connection.prepare_cached(RUN)?;
            let mut rows = statement.query(params![lane.0, after, i64::try_from(most).unwrap_or(i64::MAX)])?;
            while let Some(row) = rows.next()? {
                let candidate = Candidate::read(row, self.now)?;
                self.bytes += candidate.claimed.body.len();
                if self.bytes > MOST_BYTES
                    || !candidate.pending
                    || candidate.due_at > self.now
                    || candidate.claimed.attempts > 0
                {
                    break;
                }
                run.push(candidate);
            }
        }
        let mut expired = None;
        for candidate in run {
            let position = candidate.position;
            if self.take_or_expire(candidate)? {
                expired = Some(position);
            }
        }
        Ok(expired)
    }

    /// Claims a delivery, or expires it if it is too old. Returns whether it expired.
    pub(super) fn take_or_expire(&mut self, candidate: Candidate) -> Result<bool, StoreError> {
        if self.is_too_old(&candidate) {
            self.expire(candidate.claimed.delivery)?;
            return Ok(true);
        }
        if let Some(batch) = candidate.batch {
            // The batch was frozen when the endpoint still took batches.
            batch::dissolve(self.connection, batch)?;
        }
        self.claimed.push(candidate.claimed);
        Ok(false)
    }
}
