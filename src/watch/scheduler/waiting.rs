//! Step: the reads that are due and wait for their turn, and which of them is worth most.
//!
//! A wish has a due time and a *patience*: how much later than that it may come before it is twice as late as it should be.
//! The lateness of a wish is its delay divided by its patience, and the latest goes first. So under pressure every kind of
//! read is spread out by the same factor, none starves, and what is wanted once is not lost behind what is wanted all the
//! time.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::step::WorkKey;
use crate::clock::Mono;
use crate::model::IdentityName;
use crate::watch::budget::Budgets;
use crate::watch::wish::{Lateness, Wish};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct WaitingReads {
    queues: BTreeMap<IdentityName, WishQueue>,
    /// The wishes of each key: one for what it does all the time and one for the most urgent of the rest.
    wishes: BTreeMap<WorkKey, (IdentityName, Vec<Wish>)>,
}

/// The wishes of one identity, by patience: of those with the same patience the one that was due first is the latest.
type WishQueue = BTreeMap<Duration, BTreeSet<(Mono, WorkKey)>>;

impl WaitingReads {
    /// Replaces the wishes of a key.
    pub(super) fn put(&mut self, key: &WorkKey, identity: IdentityName, wishes: Vec<Wish>) {
        self.remove(key);
        let queue = self.queues.entry(identity.clone()).or_default();
        for wish in &wishes {
            queue.entry(wish.patience).or_default().insert((wish.due, key.clone()));
        }
        self.wishes.insert(key.clone(), (identity, wishes));
    }

    /// Forgets the wishes of a key.
    pub(super) fn remove(&mut self, key: &WorkKey) {
        let Some((identity, wishes)) = self.wishes.remove(key) else { return };
        let Some(queue) = self.queues.get_mut(&identity) else { return };
        for wish in wishes {
            if let Some(of_class) = queue.get_mut(&wish.patience) {
                of_class.remove(&(wish.due, key.clone()));
                if of_class.is_empty() {
                    queue.remove(&wish.patience);
                }
            }
        }
        if queue.is_empty() {
            self.queues.remove(&identity);
        }
    }

    /// Takes the key whose wish is the latest of those that can be paid for.
    pub(super) fn take_latest(&mut self, budgets: &mut Budgets, now: Mono) -> Option<WorkKey> {
        if self.queues.is_empty() || !budgets.project_wait(now).is_zero() {
            return None;
        }
        let mut latest: Option<(Lateness, &WorkKey)> = None;
        for (identity, queue) in &self.queues {
            let Some((lateness, key)) = latest_of(queue, now) else { continue };
            let is_later = latest.is_none_or(|(other, _)| lateness.compare(&other) == Ordering::Greater);
            if is_later && budgets.wait(identity, now).is_zero() {
                latest = Some((lateness, key));
            }
        }
        let key = latest.map(|(_, key)| key.clone())?;
        self.remove(&key);
        Some(key)
    }

    /// Returns when the next wish can be paid for.
    pub(super) fn payable_at(&self, budgets: &mut Budgets, now: Mono) -> Option<Mono> {
        if self.queues.is_empty() {
            return None;
        }
        let project = budgets.project_wait(now);
        if !project.is_zero() {
            return Some(now + project);
        }
        self.queues.keys().map(|identity| budgets.wait(identity, now)).min().map(|wait| now + wait)
    }
}

fn latest_of(queue: &WishQueue, now: Mono) -> Option<(Lateness, &WorkKey)> {
    let of_class = queue.iter().filter_map(|(patience, wishes)| {
        wishes.first().map(|(due, key)| (Wish { due: *due, patience: *patience }.lateness(now), key))
    });
    of_class.max_by(|one, other| one.0.compare(&other.0))
}
