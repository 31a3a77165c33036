//! Claims one probe of an endpoint whose breaker is open, and gives up what is too old by then.

use rusqlite::{OptionalExtension, params};

use super::builder::ClaimBuilder;
use super::candidate::{Candidate, PROBES};
use crate::store::error::StoreError;
use crate::store::outbox::LaneId;
use crate::store::sqlite::lanes;
use crate::store::sqlite::values::nanos;

/// The most deliveries that one probe gives up.
const BURIED_AT_ONCE: usize = 1000;

impl ClaimBuilder<'_> {
    /// Claims one probe: the longest overdue head, or else a failed one that waits for its next attempt.
    pub(super) fn take_probe(&mut self, not_of: &[LaneId]) -> Result<(), StoreError> {
        let not_of = |index: usize| not_of.get(index).map_or(-1, |lane| lane.0);
        for sql in PROBES {
            let mut statement = self.connection.prepare_cached(sql)?;
            let asked = params![self.endpoint, nanos(self.now), not_of(0), not_of(1), not_of(2)];
            let found = statement.query_row(asked, |row| Ok(Candidate::read(row, self.now))).optional()?.transpose()?;
            if let Some(candidate) = found {
                let (lane, position) = (candidate.claimed.lane.0, candidate.position);
                if let Some(batching) = self.rules.batching {
                    self.take_batch(candidate, batching)?;
                } else if self.take_or_expire(candidate)? {
                    lanes::advance(self.connection, lane, position, self.now)?;
                }
                return Ok(());
            }
        }
        Ok(())
    }

    /// Gives up what was committed before `cutoff`, without an attempt: while the breaker is open only probes are sent.
    pub(super) fn bury(&mut self, cutoff: i64) -> Result<(), StoreError> {
        let heads: Vec<(i64, i64)> = self
            .connection
            .prepare_cached(
                "SELECT lane, position FROM deliveries INDEXED BY deliveries_oldest
                 WHERE endpoint = ?1 AND head = 1 AND owed_at < ?2 AND state = 'pending'
                       AND coalesce(replayed_at, owed_at) < ?2 LIMIT 100",
            )?
            .query_map([self.endpoint, cutoff], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let each = BURIED_AT_ONCE / heads.len().max(1);
        for (lane, position) in heads {
            let old: Vec<(i64, i64)> = self
                .connection
                .prepare_cached(
                    "SELECT id, position FROM deliveries INDEXED BY deliveries_open
                     WHERE lane = ?1 AND position >= ?2 AND state IN ('pending', 'leased') AND state = 'pending'
                           AND coalesce(replayed_at, owed_at) < ?3
                           AND NOT EXISTS (SELECT 1 FROM deliveries m WHERE m.batch = deliveries.batch AND m.state = 'pending'
                                           AND coalesce(m.replayed_at, m.owed_at) >= ?3)
                     ORDER BY position LIMIT ?4",
                )?
                .query_map(params![lane, position, cutoff, i64::try_from(each).unwrap_or(i64::MAX)], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?
                .collect::<Result<_, _>>()?;
            for (delivery, _) in &old {
                self.finish(*delivery, "dead", "window")?;
                self.change.owed -= 1;
                self.change.dead += 1;
            }
            if let Some((_, last)) = old.last() {
                lanes::advance(self.connection, lane, *last, self.now)?;
            }
        }
        Ok(())
    }
}
