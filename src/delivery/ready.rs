//! The claimed deliveries of an endpoint that are not sent yet, in runs: the deliveries of a run are sent one after another,
//! and the runs take turns.

use std::collections::{BTreeMap, VecDeque};

use crate::store::{AttemptRecord, AttemptResult, Claimed, DeliveryId, LaneId};

/// Identifies a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RunKey {
    /// The deliveries of a lane.
    Lane(LaneId),
    /// One delivery, where order does not matter.
    Single(DeliveryId),
}

/// Claimed deliveries, in runs.
#[derive(Debug, Default)]
pub(super) struct ReadyRuns {
    runs: BTreeMap<RunKey, VecDeque<Claimed>>,
    /// The runs of which nothing is being sent, in the order in which they became so.
    next: VecDeque<RunKey>,
    count: usize,
    bytes: usize,
}

impl ReadyRuns {
    /// Returns the number of deliveries.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Returns the size of their events, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn deliveries(&self) -> impl Iterator<Item = DeliveryId> + '_ {
        self.runs.values().flatten().map(|claimed| claimed.delivery)
    }

    /// Returns whether a delivery can be sent without waiting for one of its run.
    pub(super) fn has_next(&self) -> bool {
        !self.next.is_empty()
    }

    /// Adds a claimed delivery. `busy`: one of its run is being sent.
    pub(super) fn put(&mut self, key: RunKey, claimed: Claimed, busy: bool) {
        let run = self.runs.entry(key).or_default();
        if run.is_empty() && !busy {
            self.next.push_back(key);
        }
        self.count += 1;
        self.bytes += size(&claimed);
        run.push_back(claimed);
    }

    /// Takes the next delivery. The rest of its run waits for [`Self::resume`].
    pub(super) fn take(&mut self) -> Option<(RunKey, Claimed)> {
        let key = self.next.pop_front()?;
        let run = self.runs.get_mut(&key)?;
        let claimed = run.pop_front()?;
        if run.is_empty() {
            self.runs.remove(&key);
        }
        self.count -= 1;
        self.bytes -= size(&claimed);
        Some((key, claimed))
    }

    /// Lets the next delivery of a run be sent. Returns false if the run is empty.
    pub(super) fn resume(&mut self, key: RunKey) -> bool {
        let exists = self.runs.contains_key(&key);
        if exists {
            self.next.push_back(key);
        }
        exists
    }

    /// Releases the rest of a run.
    pub(super) fn drop_run(&mut self, key: RunKey) -> Vec<AttemptRecord> {
        let run = self.runs.remove(&key).unwrap_or_default();
        self.count -= run.len();
        self.bytes -= run.iter().map(size).sum::<usize>();
        run.into_iter().map(|claimed| release(claimed.delivery, claimed.claim)).collect()
    }

    /// Releases everything.
    pub(super) fn clear(&mut self) -> Vec<AttemptRecord> {
        let runs = std::mem::take(self).runs;
        runs.into_values().flatten().map(|claimed| release(claimed.delivery, claimed.claim)).collect()
    }
}

/// Returns the size of a claim's events, in bytes.
fn size(claimed: &Claimed) -> usize {
    let others = claimed.batch.iter().flatten().map(|other| other.body.len());
    claimed.body.len() + others.sum::<usize>()
}

/// Returns the record that puts a delivery back to where it was before its claim.
pub(super) fn release(delivery: DeliveryId, claim: i64) -> AttemptRecord {
    AttemptRecord { delivery, claim, attempt: None, result: AttemptResult::Release }
}
