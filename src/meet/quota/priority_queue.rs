//! A token bucket with a queue of waiting requests, served by priority without starvation.
//!
//! Each [`Priority`] has a queue of its own. The most urgent priority with waiting requests is served first, with one
//! exception: each time a request is admitted, every other priority with waiting requests earns a twentieth of a turn, and a
//! priority that has earned a whole turn is served next. So under any load each priority gets at least one token in twenty.
//! Pure: the time is an argument.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Mono;
use crate::meet::reader::Priority;
use crate::quota_bucket::{QuotaBucket, Take};

/// A priority earns one turn for so many requests of other priorities.
const TURNS_FOR_ONE: u32 = 20;

const CLASSES: usize = Priority::ALL.len();

/// A waiting request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ticket(u64);

/// See the module.
#[derive(Debug)]
pub(super) struct PriorityQueue {
    bucket: QuotaBucket,
    queues: [VecDeque<Ticket>; CLASSES],
    earned: [u32; CLASSES],
    issued: u64,
    max_waiting: usize,
}

impl PriorityQueue {
    /// An empty queue for at most `max_waiting` requests.
    #[must_use]
    pub(super) fn new(bucket: QuotaBucket, max_waiting: usize) -> Self {
        Self { bucket, queues: std::array::from_fn(|_| VecDeque::new()), earned: [0; CLASSES], issued: 0, max_waiting }
    }

    /// Takes a token if one is there and no request waits.
    pub(super) fn try_acquire(&mut self, now: Mono) -> bool {
        self.waiting() == 0 && self.bucket.take(now) == Take::Taken
    }

    /// Adds a request. `None` if the queue is full.
    pub(super) fn enqueue(&mut self, priority: Priority) -> Option<Ticket> {
        if self.waiting() >= self.max_waiting {
            return None;
        }
        self.issued += 1;
        let ticket = Ticket(self.issued);
        self.queues[class(priority)].push_back(ticket);
        Some(ticket)
    }

    /// Removes a request. No effect if it was admitted already.
    pub(super) fn remove(&mut self, ticket: Ticket, priority: Priority) {
        self.queues[class(priority)].retain(|other| *other != ticket);
        self.reset_empty_queues();
    }

    /// Admits the next request if there is one and a token for it. To be called until it returns `None`.
    pub(super) fn admit(&mut self, now: Mono) -> Option<Ticket> {
        let next = self.next_class()?;
        if self.bucket.take(now) != Take::Taken {
            return None;
        }
        let ticket = self.queues[next].pop_front();
        self.earned[next] = self.earned[next].saturating_sub(TURNS_FOR_ONE);
        for other in (0..CLASSES).filter(|other| *other != next) {
            self.earned[other] += 1;
        }
        self.reset_empty_queues();
        ticket
    }

    /// How long until this request may be admitted: the time in which the bucket gains a token for it and for each request
    /// ahead of it.
    pub(super) fn wait(&mut self, ticket: Ticket, priority: Priority, now: Mono) -> Duration {
        let own = class(priority);
        let before: usize = self.queues[..own].iter().map(VecDeque::len).sum();
        let within = self.queues[own].iter().position(|other| *other == ticket).unwrap_or(0);
        self.bucket.wait_for(u32::try_from(before + within + 1).unwrap_or(u32::MAX), now)
    }

    /// Admits no request for a time.
    pub(super) fn pause(&mut self, time: Duration, now: Mono) {
        self.bucket.pause(time, now);
    }

    /// The token bucket.
    pub(super) const fn bucket(&mut self) -> &mut QuotaBucket {
        &mut self.bucket
    }

    /// The number of waiting requests.
    #[must_use]
    pub(super) fn waiting(&self) -> usize {
        self.queues.iter().map(VecDeque::len).sum()
    }

    fn next_class(&self) -> Option<usize> {
        let mut waiting = (0..CLASSES).filter(|class| !self.queues[*class].is_empty());
        let first = waiting.clone().next()?;
        // `max_by_key` keeps the last of equals, so the search runs from the last class to the first.
        let due = waiting.by_ref().rev().filter(|class| self.earned[*class] >= TURNS_FOR_ONE);
        Some(due.max_by_key(|class| self.earned[*class]).unwrap_or(first))
    }

    fn reset_empty_queues(&mut self) {
        for (queue, earned) in self.queues.iter().zip(&mut self.earned) {
            if queue.is_empty() {
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

    /// One token a second, after the first two are taken.
    fn drained() -> PriorityQueue {
        let mut queue = PriorityQueue::new(QuotaBucket::new(62.5, Duration::ZERO), 20_000);
        while queue.try_acquire(Duration::ZERO) {}
        queue
    }

    #[test]
    fn the_most_urgent_priority_is_served_first_and_equals_in_order_of_arrival() {
        let mut queue = drained();
        let sweep = queue.enqueue(Priority::Sweep).unwrap();
        let one = queue.enqueue(Priority::Listing).unwrap();
        let other = queue.enqueue(Priority::Listing).unwrap();
        assert!(!queue.try_acquire(SECOND * 2), "a new request does not overtake waiting ones");
        let order: Vec<Ticket> = (3..=10).filter_map(|second| queue.admit(SECOND * second)).collect();
        assert_eq!(order, vec![one, other, sweep]);
    }

    #[test]
    fn no_priority_starves_and_each_keeps_its_share() {
        let mut queue = drained();
        let mut class_of = std::collections::HashMap::new();
        for priority in Priority::ALL {
            for _ in 0..2000 {
                class_of.insert(queue.enqueue(priority).unwrap(), priority);
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
    fn no_request_is_admitted_without_a_token() {
        let mut queue = drained();
        queue.enqueue(Priority::Record).unwrap();
        assert_eq!(queue.admit(Duration::ZERO), None);
        assert!(queue.admit(SECOND * 2).is_some());
        assert_eq!(queue.admit(SECOND * 10), None);
    }

    #[test]
    fn a_removed_request_is_not_admitted_and_the_queue_is_bounded() {
        let mut queue = PriorityQueue::new(QuotaBucket::new(66.0, Duration::ZERO), 2);
        let gone = queue.enqueue(Priority::Listing).unwrap();
        let stays = queue.enqueue(Priority::Lookup).unwrap();
        assert_eq!(queue.enqueue(Priority::Listing), None);
        queue.remove(gone, Priority::Listing);
        assert_eq!(queue.admit(SECOND), Some(stays));
    }

    #[test]
    fn the_wait_grows_with_the_requests_ahead() {
        let mut queue = drained();
        let first = queue.enqueue(Priority::Person).unwrap();
        let second = queue.enqueue(Priority::Person).unwrap();
        let now = Duration::ZERO;
        let (one, two) = (queue.wait(first, Priority::Person, now), queue.wait(second, Priority::Person, now));
        assert!(one < two && two <= SECOND * 3, "{one:?} {two:?}");
    }
}
