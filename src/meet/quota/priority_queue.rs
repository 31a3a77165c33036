//! Who goes next: a bucket with a waiting room, in which what matters most goes first and nothing starves.
//!
//! Each class of [`Priority`] waits in a line of its own. The first class that has anybody waiting goes first, except
//! that each time somebody goes, every other class with people waiting earns a twentieth of a turn; who has earned a
//! whole one takes it. So under any load a class gets one token in twenty, and the rest go in order. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use super::bucket::{QuotaBucket, Take};
use crate::clock::Mono;
use crate::meet::reader::Priority;

/// A class that others overtake earns one turn for so many of theirs.
const TURNS_FOR_ONE: u32 = 20;

const CLASSES: usize = Priority::ALL.len();

/// One who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ticket(u64);

/// See the module.
#[derive(Debug)]
pub(super) struct PriorityQueue {
    bucket: QuotaBucket,
    lines: [VecDeque<Ticket>; CLASSES],
    earned: [u32; CLASSES],
    issued: u64,
    most_waiting: usize,
}

impl PriorityQueue {
    /// A queue with nobody waiting, and room for `most_waiting`.
    #[must_use]
    pub(super) fn new(bucket: QuotaBucket, most_waiting: usize) -> Self {
        Self { bucket, lines: std::array::from_fn(|_| VecDeque::new()), earned: [0; CLASSES], issued: 0, most_waiting }
    }

    /// Goes through at once, if nobody waits and a token is there.
    pub(super) fn try_acquire(&mut self, now: Mono) -> bool {
        self.waiting() == 0 && self.bucket.take(now) == Take::Taken
    }

    /// Gets in line, unless the room is full.
    pub(super) fn enter(&mut self, priority: Priority) -> Option<Ticket> {
        if self.waiting() >= self.most_waiting {
            return None;
        }
        self.issued += 1;
        let ticket = Ticket(self.issued);
        self.lines[class(priority)].push_back(ticket);
        Some(ticket)
    }

    /// Gives up waiting. Without effect for one who is through.
    pub(super) fn leave(&mut self, ticket: Ticket, priority: Priority) {
        self.lines[class(priority)].retain(|other| *other != ticket);
        self.forget_what_empty_lines_earned();
    }

    /// Lets the next one through, if there is one and a token for it. Call it until it says `None`.
    pub(super) fn admit(&mut self, now: Mono) -> Option<Ticket> {
        let next = self.next_class()?;
        if self.bucket.take(now) != Take::Taken {
            return None;
        }
        let ticket = self.lines[next].pop_front();
        self.earned[next] = self.earned[next].saturating_sub(TURNS_FOR_ONE);
        for other in (0..CLASSES).filter(|other| *other != next) {
            self.earned[other] += 1;
        }
        self.forget_what_empty_lines_earned();
        ticket
    }

    /// How long until it may be this one's turn: the time in which as many tokens come as there are people before it.
    pub(super) fn wait(&mut self, ticket: Ticket, priority: Priority, now: Mono) -> Duration {
        let own = class(priority);
        let before: usize = self.lines[..own].iter().map(VecDeque::len).sum();
        let within = self.lines[own].iter().position(|other| *other == ticket).unwrap_or(0);
        self.bucket.wait_for(u32::try_from(before + within + 1).unwrap_or(u32::MAX), now)
    }

    /// Lets nobody through for a time.
    pub(super) fn pause(&mut self, time: Duration, now: Mono) {
        self.bucket.pause(time, now);
    }

    /// The bucket behind it.
    pub(super) const fn bucket(&mut self) -> &mut QuotaBucket {
        &mut self.bucket
    }

    /// How many wait.
    #[must_use]
    pub(super) fn waiting(&self) -> usize {
        self.lines.iter().map(VecDeque::len).sum()
    }

    fn next_class(&self) -> Option<usize> {
        let mut with_people = (0..CLASSES).filter(|class| !self.lines[*class].is_empty());
        let first = with_people.clone().next()?;
        // `max_by_key` keeps the last of equals, so the search runs from the last class to the first.
        let owed = with_people.by_ref().rev().filter(|class| self.earned[*class] >= TURNS_FOR_ONE);
        Some(owed.max_by_key(|class| self.earned[*class]).unwrap_or(first))
    }

    fn forget_what_empty_lines_earned(&mut self) {
        for (line, earned) in self.lines.iter().zip(&mut self.earned) {
            if line.is_empty() {
                *earned = 0;
            }
        }
    }
}

const fn class(priority: Priority) -> usize {
    priority as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// One token a second after the first six are gone.
    fn drained() -> PriorityQueue {
        let mut queue = PriorityQueue::new(QuotaBucket::new(66.0, Duration::ZERO), 20_000);
        while queue.try_acquire(Duration::ZERO) {}
        queue
    }

    #[test]
    fn what_matters_most_goes_first_and_equals_in_the_order_they_came() {
        let mut queue = drained();
        let sweep = queue.enter(Priority::Sweep).unwrap();
        let one = queue.enter(Priority::Listing).unwrap();
        let other = queue.enter(Priority::Listing).unwrap();
        assert!(!queue.try_acquire(SECOND * 2), "nobody overtakes those who wait");
        let order: Vec<Ticket> = std::iter::from_fn(|| queue.admit(SECOND * 10)).collect();
        assert_eq!(order, vec![one, other, sweep]);
    }

    #[test]
    fn no_class_starves_and_each_keeps_its_share() {
        let mut queue = drained();
        let mut class_of = std::collections::HashMap::new();
        for priority in Priority::ALL {
            for _ in 0..2000 {
                class_of.insert(queue.enter(priority).unwrap(), priority);
            }
        }
        let mut served = [0_u32; CLASSES];
        for second in 1..=2000 {
            while let Some(ticket) = queue.admit(SECOND * second) {
                served[class_of[&ticket] as usize] += 1;
            }
        }
        let total: u32 = served.iter().sum();
        assert!(served[0] * 10 >= total * 6, "{served:?}");
        assert!(served[1..].iter().all(|served| served * 25 >= total), "{served:?}");
    }

    #[test]
    fn nobody_goes_through_without_a_token() {
        let mut queue = drained();
        queue.enter(Priority::Record).unwrap();
        assert_eq!(queue.admit(Duration::ZERO), None);
        assert!(queue.admit(SECOND * 2).is_some());
        assert_eq!(queue.admit(SECOND * 10), None);
    }

    #[test]
    fn who_leaves_is_not_let_through_and_the_room_is_bounded() {
        let mut queue = PriorityQueue::new(QuotaBucket::new(66.0, Duration::ZERO), 2);
        let gone = queue.enter(Priority::Listing).unwrap();
        let stays = queue.enter(Priority::Lookup).unwrap();
        assert_eq!(queue.enter(Priority::Listing), None);
        queue.leave(gone, Priority::Listing);
        assert_eq!(queue.admit(SECOND), Some(stays));
    }

    #[test]
    fn the_wait_grows_with_those_before() {
        let mut queue = drained();
        let first = queue.enter(Priority::Person).unwrap();
        let second = queue.enter(Priority::Person).unwrap();
        let now = Duration::ZERO;
        let (one, two) = (queue.wait(first, Priority::Person, now), queue.wait(second, Priority::Person, now));
        assert!(one < two && two <= SECOND * 3, "{one:?} {two:?}");
    }
}
