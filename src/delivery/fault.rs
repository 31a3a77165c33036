//! Whose fault a failure is, as far as the endpoint's other answers show. Pure.
//!
//! Some answers say nothing about the delivery: busy, unavailable, no connection. Others may be about either: a server error
//! can come from this one event, or from a receiver that takes only so many a second. One acceptance of another delivery
//! shows nothing, because a receiver that limits its rate accepts some as well. So a failure counts as the delivery's only
//! if it fails so often in a row, while others are accepted, that this would be a coincidence at any receiver that refuses
//! as large a share of all deliveries. If others fail too, the share is large, and it takes longer.

use std::collections::{BTreeMap, BTreeSet};

use super::outcome::Outcome;
use super::ready::RunKey;
use crate::clock::Mono;
use crate::store::{DeliveryId, LaneId};

/// So many conferences that are not found, and no success between, show that it is not the delivery.
const LANES: usize = 3;

/// How many failing deliveries are remembered.
const REMEMBERED: usize = 4096;

/// How often at least a delivery fails again, others being accepted meanwhile, before that is its own: if the failure may be
/// about it, and if the answer says that it is not.
const AGAIN: (u32, u32) = (4, 8);

/// What is taken for a coincidence is at least so probable.
const COINCIDENCE: f64 = 1e-5;

/// The share of attempts that fail is smoothed over so many; where it begins, and the largest that counts.
const SHARE_OVER: f64 = 16.0;
const SHARE_BOUNDS: (f64, f64) = (0.05, 0.9);

/// A failed attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct JudgedFailure<'a> {
    pub(super) delivery: DeliveryId,
    pub(super) run: RunKey,
    pub(super) lane: LaneId,
    pub(super) outcome: &'a Outcome,
    pub(super) began: Mono,
    /// How many of the delivery's failures before were its own.
    pub(super) own_failures: u32,
    pub(super) breaker_is_open: bool,
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    Endpoint,
    /// The endpoint's as far as is known, but others were accepted since the delivery failed before.
    Doubtful,
    /// The same, and no other failed since the delivery failed for the first time.
    Suspect,
    Delivery,
}

/// A delivery that fails.
#[derive(Debug, Clone, Copy)]
struct Failing {
    /// When its first failure in a row began, and when the last one came.
    first: Mono,
    last: Mono,
    /// How often it failed again while others were accepted.
    again: u32,
    /// How probable that is at a receiver that refuses as large a share of all deliveries as it did each time.
    chance: f64,
}

/// When something came of the deliveries of two runs last, the later first.
#[derive(Debug, Default)]
struct LastOfTwo([Option<(RunKey, Mono)>; 2]);

impl LastOfTwo {
    fn note(&mut self, run: RunKey, now: Mono) {
        if self.0[0].is_some_and(|(last, _)| last != run) {
            self.0[1] = self.0[0];
        }
        self.0[0] = Some((run, now));
    }

    /// Returns when it came last of another run.
    fn of_others(&self, run: RunKey) -> Option<Mono> {
        self.0.iter().flatten().find(|(other, _)| *other != run).map(|(_, at)| *at)
    }
}

/// What the endpoint's last answers show.
#[derive(Debug)]
pub(super) struct Evidence {
    accepted: LastOfTwo,
    failed: LastOfTwo,
    failing: BTreeMap<DeliveryId, Failing>,
    /// The runs (the first few) that failed, and the lanes that were not found, since the last success.
    failing_runs: BTreeSet<RunKey>,
    not_found: BTreeSet<LaneId>,
    /// The share of attempts that fail, without those of a delivery that fails alone.
    share: f64,
}

impl Default for Evidence {
    fn default() -> Self {
        Self {
            accepted: LastOfTwo::default(),
            failed: LastOfTwo::default(),
            failing: BTreeMap::new(),
            failing_runs: BTreeSet::new(),
            not_found: BTreeSet::new(),
            share: SHARE_BOUNDS.0,
        }
    }
}

impl Evidence {
    pub(super) fn accepted(&mut self, delivery: DeliveryId, run: RunKey, now: Mono) {
        self.failing.remove(&delivery);
        self.count(false);
        self.failing_runs.clear();
        self.not_found.clear();
        self.accepted.note(run, now);
    }

    fn count(&mut self, fails: bool) {
        self.share += (f64::from(u8::from(fails)) - self.share) / SHARE_OVER;
    }

    /// Notes a failure. Returns whose it is.
    pub(super) fn failed(&mut self, failure: &JudgedFailure<'_>, now: Mono) -> Blame {
        if self.failing_runs.len() < LANES {
            self.failing_runs.insert(failure.run);
        }
        match failure.outcome {
            Outcome::Accepted | Outcome::Gone | Outcome::Unsendable | Outcome::Refused => Blame::Delivery,
            Outcome::NotFound => {
                if self.not_found.len() < LANES {
                    self.not_found.insert(failure.lane);
                }
                let is_endpoints = failure.breaker_is_open || self.not_found.len() >= LANES;
                if is_endpoints { Blame::Endpoint } else { Blame::Delivery }
            }
            _ => {
                let blame = self.judge(failure, now);
                if blame != Blame::Delivery {
                    self.failed.note(failure.run, now);
                }
                blame
            }
        }
    }

    /// Judges a failure that may be the endpoint's.
    fn judge(&mut self, failure: &JudgedFailure<'_>, now: Mono) -> Blame {
        let (run, is_of_the_endpoint) = (failure.run, failure.outcome.is_of_the_endpoint());
        let accepted = self.accepted.of_others(run);
        let Some(mut failing) = self.failing.get(&failure.delivery).copied() else {
            self.count(true);
            self.remember(failure.delivery, Failing { first: failure.began, last: now, again: 0, chance: 1.0 });
            let is_well = accepted.is_some_and(|accepted| accepted >= failure.began);
            return if self.is_shown_before(failure, is_well) { Blame::Delivery } else { Blame::Endpoint };
        };
        let others_since = accepted.is_some_and(|accepted| accepted > failing.last);
        let others_fail = self.failed.of_others(run).is_some_and(|failed| failed >= failing.first);
        let alone = !others_fail && accepted.is_some_and(|accepted| accepted >= failing.first);
        if !alone {
            self.count(true);
        }
        // What says nothing about the delivery says it each time, so each time others have to show that it is.
        if others_since || (alone && !is_of_the_endpoint) {
            failing.again += 1;
            failing.chance *= self.share.clamp(SHARE_BOUNDS.0, SHARE_BOUNDS.1);
        }
        failing.last = now;
        self.remember(failure.delivery, failing);
        if failure.breaker_is_open {
            return Blame::Endpoint;
        }
        let least = if is_of_the_endpoint { AGAIN.1 } else { AGAIN.0 };
        let is_shown = (others_since || !is_of_the_endpoint) && failing.again >= least && failing.chance <= COINCIDENCE;
        if is_shown || self.is_shown_before(failure, others_since) {
            Blame::Delivery
        } else if alone {
            Blame::Suspect
        } else if others_since {
            Blame::Doubtful
        } else {
            Blame::Endpoint
        }
    }

    /// Returns whether it was seen before that the delivery is at fault, and nothing shows now that the endpoint is.
    fn is_shown_before(&self, failure: &JudgedFailure<'_>, others_are_accepted: bool) -> bool {
        let alone = self.failing_runs.iter().all(|run| *run == failure.run);
        let may_be = !failure.outcome.is_of_the_endpoint() && !failure.breaker_is_open;
        may_be && failure.own_failures > 0 && (alone || others_are_accepted)
    }

    fn remember(&mut self, delivery: DeliveryId, failing: Failing) {
        self.failing.insert(delivery, failing);
        if self.failing.len() > REMEMBERED {
            self.failing.pop_first();
        }
    }
}

#[cfg(test)]
mod tests;
