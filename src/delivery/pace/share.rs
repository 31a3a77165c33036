//! Whether refusals are those of a limit: of a limit, fewer are refused the lower the rate is.

use std::time::Duration;

use super::round::Round;
use crate::clock::Mono;

/// Shares are compared once the rate has fallen to this part of what it was; and a refusal at less than this part of a rate
/// that the receiver took lately is doubtful.
const SLOWER: f64 = 0.6;

/// A share that fell to less than the first factor, as it does at a limit, or that rose beyond the second, as it does when a
/// limit falls, shows nothing; one between is that of a receiver that refuses whatever the rate.
const SAME: (f64, f64) = (0.7, 2.0);

/// So many accepted deliveries between two refusals show that the receiver takes the rate, as long as no more than this share
/// is refused. If more is, the limit may have fallen.
const TAKEN: (u32, f64) = (9, 0.5);

/// So many doubtful refusals are not those of a limit.
const DOUBTS: u32 = 3;

/// So many times in a row that few deliveries were accepted between two refusals: each lowers the rate, so that a limit would
/// have been met before.
const SHORT: u32 = 12;
const TAKEN_OFTEN: u32 = 8;

/// What was seen counts for so long, or for so many times as long as it took to see it.
const REMEMBERED: (Duration, u32) = (Duration::from_secs(300), 10);

/// The share of attempts that is refused, over several rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RefusedShare {
    /// What is being counted, and the rate at its beginning.
    counting: Round,
    rate: f64,
    /// The share and the rate that were seen before, if they still count.
    before: Option<SeenShare>,
    /// Until enough was accepted to see what the receiver takes.
    taking: Round,
    taken: Option<SeenShare>,
    doubts: u32,
    /// The accepted deliveries since the last refusal, and the times in a row that they were few.
    accepted: u32,
    short: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct SeenShare {
    share: f64,
    rate: f64,
    until: Mono,
}

impl SeenShare {
    fn new(share: f64, rate: f64, from: Mono, now: Mono) -> Self {
        Self { share, rate, until: now + (now.saturating_sub(from) * REMEMBERED.1).max(REMEMBERED.0) }
    }
}

impl RefusedShare {
    /// Begins to count with the refusal of an attempt that began at `began`, at this rate.
    pub(super) fn new(began: Mono, rate: f64) -> Self {
        let round = Round::new(began);
        Self { counting: round, rate, before: None, taking: round, taken: None, doubts: 0, accepted: 0, short: 0 }
    }

    pub(super) fn accept(&mut self, began: Mono) {
        self.accepted += 1;
        self.counting.accept(began);
        self.taking.accept(began);
    }

    /// Counts the refusal of an attempt that began at `began`, when the rate was `rate`. Returns whether the refusals are not
    /// those of a limit.
    pub(super) fn refuse(&mut self, began: Mono, rate: f64) -> bool {
        self.before = self.before.filter(|seen| began <= seen.until);
        self.taken = self.taken.filter(|seen| began <= seen.until);
        self.counting.refuse();
        self.short = match std::mem::take(&mut self.accepted) {
            0 => self.short,
            1..TAKEN_OFTEN => self.short + 1,
            _ => 0,
        };
        self.short >= SHORT || self.raises_doubts(began, rate) || self.shows_the_same(began, rate)
    }

    fn raises_doubts(&mut self, began: Mono, rate: f64) -> bool {
        let is_slower = self.taken.is_some_and(|taken| rate < taken.rate * SLOWER);
        self.doubts += u32::from(is_slower && self.counting.refused_at_most(TAKEN.1));
        if self.taking.count() >= TAKEN.0 {
            let seen = SeenShare::new(0.0, self.taking.at_least(began), self.taking.began(), began);
            if self.taken.is_none_or(|taken| taken.rate <= seen.rate) {
                (self.taken, self.doubts) = (Some(seen), 0);
            }
            self.taking = Round::new(began);
        }
        self.doubts >= DOUBTS
    }

    fn shows_the_same(&mut self, began: Mono, rate: f64) -> bool {
        let Some(share) = self.counting.share() else { return false };
        let seen = SeenShare::new(share, self.rate, self.counting.began(), began);
        if share > TAKEN.1 {
            (self.taken, self.doubts, self.taking) = (None, 0, Round::new(began));
        }
        (self.counting, self.rate) = (Round::new(began), rate);
        match self.before {
            Some(before) if seen.rate <= before.rate && seen.rate > before.rate * SLOWER => false,
            before => {
                self.before = Some(seen);
                let same = |before: SeenShare| (before.share * SAME.0..before.share * SAME.1).contains(&share);
                before.is_some_and(|before| seen.rate <= before.rate && same(before))
            }
        }
    }
}
