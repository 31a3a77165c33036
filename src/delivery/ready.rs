//! What an endpoint has claimed and not sent yet: runs of deliveries that go one after another, in the order in which it
//! is their turn.

use std::collections::{BTreeMap, VecDeque};

use crate::store::{AttemptRecord, AttemptResult, Claimed, DeliveryId, LaneId};

/// What is sent one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Lane(LaneId),
    Alone(DeliveryId),
}

/// The runs.
#[derive(Debug, Default)]
pub(super) struct Ready {
    runs: BTreeMap<Key, VecDeque<Claimed>>,
    /// Those of which nothing is being sent, in the order in which they came to be so.
    next: VecDeque<Key>,
    count: usize,
    bytes: usize,
}

impl Ready {
    /// How many deliveries there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The size of their events.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn deliveries(&self) -> impl Iterator<Item = DeliveryId> + '_ {
        self.runs.values().flatten().map(|claimed| claimed.delivery)
    }

    /// Whether anything may be sent without waiting for what is being sent.
    pub(super) fn has_next(&self) -> bool {
        !self.next.is_empty()
    }

    /// Takes in what was claimed. `busy`: something of its run is being sent.
    pub(super) fn put(&mut self, key: Key, claimed: Claimed, busy: bool) {
        let run = self.runs.entry(key).or_default();
        if run.is_empty() && !busy {
            self.next.push_back(key);
        }
        self.count += 1;
        self.bytes += size(&claimed);
        run.push_back(claimed);
    }

    /// Hands out the next; what follows in its run waits for [`Self::go_on`].
    pub(super) fn take(&mut self) -> Option<(Key, Claimed)> {
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

    /// Lets the next of a run have its turn; false where the run is over.
    pub(super) fn go_on(&mut self, key: Key) -> bool {
        let is_there = self.runs.contains_key(&key);
        if is_there {
            self.next.push_back(key);
        }
        is_there
    }

    /// Gives back what is left of a run of which something was being sent.
    pub(super) fn drop_run(&mut self, key: Key) -> Vec<AttemptRecord> {
        let run = self.runs.remove(&key).unwrap_or_default();
        self.count -= run.len();
        self.bytes -= run.iter().map(size).sum::<usize>();
        run.into_iter().map(|claimed| release(claimed.delivery, claimed.claim)).collect()
    }

    /// Gives everything back.
    pub(super) fn clear(&mut self) -> Vec<AttemptRecord> {
        let runs = std::mem::take(self).runs;
        runs.into_values().flatten().map(|claimed| release(claimed.delivery, claimed.claim)).collect()
    }
}

/// The bytes of a claim's events.
fn size(claimed: &Claimed) -> usize {
    let others = claimed.batch.iter().flatten().map(|other| other.body.len());
    claimed.body.len() + others.sum::<usize>()
}

/// Makes a delivery owed as it was before its claim.
pub(super) fn release(delivery: DeliveryId, claim: i64) -> AttemptRecord {
    AttemptRecord { delivery, claim, attempt: None, result: AttemptResult::Release }
}
