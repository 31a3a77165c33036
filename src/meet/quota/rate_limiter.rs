//! A [`PriorityQueue`] with which tasks can wait for tokens.
//!
//! There is no background task: each waiting task sleeps until its turn may have come, admits the next requests in the
//! queue, and sleeps again if its own is not among them. Cancel-safe: a task that is dropped leaves the queue.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::priority_queue::{PriorityQueue, Ticket};
use crate::clock::{Clock, Mono};
use crate::meet::reader::Priority;
use crate::quota_bucket::QuotaBucket;

/// The most requests that may wait at one limiter.
const MAX_WAITING: usize = 4096;

/// The shortest sleep worth a timer.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);

/// Why a request was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::meet) enum AcquireError {
    /// The wait is, or would be, longer than allowed.
    TooLong,
    /// Too many requests wait already.
    QueueFull,
}

/// See the module.
#[derive(Debug)]
pub(in crate::meet) struct RateLimiter {
    state: Mutex<LimiterState>,
    clock: Clock,
}

#[derive(Debug)]
struct LimiterState {
    queue: PriorityQueue,
    waiting: HashMap<Ticket, oneshot::Sender<()>>,
}

impl RateLimiter {
    /// A limiter for `limit` requests a minute.
    pub(in crate::meet) fn new(limit: f64, clock: Clock) -> Self {
        let queue = PriorityQueue::new(QuotaBucket::new(limit, clock.mono()), MAX_WAITING);
        Self { state: Mutex::new(LimiterState { queue, waiting: HashMap::new() }), clock }
    }

    /// Takes a token if that is possible without waiting.
    pub(in crate::meet) fn try_acquire(&self) -> bool {
        self.lock().queue.try_acquire(self.clock.mono())
    }

    /// Waits for a token in order of priority, at the latest until `until`.
    ///
    /// # Errors
    /// [`AcquireError`]
    pub(in crate::meet) async fn acquire(&self, priority: Priority, until: Mono) -> Result<(), AcquireError> {
        if self.try_acquire() {
            return Ok(());
        }
        let (mut waiter, mut admitted) = self.enqueue(priority)?;
        loop {
            let now = self.clock.mono();
            let wait = self.step(&waiter, now);
            if admitted.try_recv().is_ok() {
                waiter.admitted = true;
                return Ok(());
            }
            // A pause may last longer than the request may wait: fail at once.
            let left = until.saturating_sub(now);
            if left.is_zero() || self.lock().queue.bucket().wait_for(1, now) > left {
                return Err(AcquireError::TooLong);
            }
            tokio::select! {
                answer = &mut admitted => if answer.is_ok() {
                    waiter.admitted = true;
                    return Ok(());
                },
                () = tokio::time::sleep(wait.min(left).max(SHORTEST_SLEEP)) => {}
            }
        }
    }

    /// Admits no request for a time.
    pub(in crate::meet) fn pause(&self, time: Duration) {
        let now = self.clock.mono();
        self.lock().queue.pause(time, now);
    }

    /// Admits `limit` requests a minute from now on. What was spent stays spent.
    pub(in crate::meet) fn set_limit(&self, limit: f64) {
        let now = self.clock.mono();
        self.lock().queue.bucket().set_limit(limit, now);
    }

    /// Whether all of its tokens are there.
    pub(in crate::meet) fn is_full(&self) -> bool {
        let now = self.clock.mono();
        self.lock().queue.bucket().is_full(now)
    }

    /// The limit a minute, and the tokens there now.
    pub(in crate::meet) fn level(&self) -> (f64, f64) {
        let now = self.clock.mono();
        let mut state = self.lock();
        let bucket = state.queue.bucket();
        (bucket.limit(), bucket.available(now))
    }

    fn enqueue(&self, priority: Priority) -> Result<(Waiter<'_>, oneshot::Receiver<()>), AcquireError> {
        let (admit, admitted) = oneshot::channel();
        let mut state = self.lock();
        let ticket = state.queue.enqueue(priority).ok_or(AcquireError::QueueFull)?;
        state.waiting.insert(ticket, admit);
        Ok((Waiter { limiter: self, ticket, priority, admitted: false }, admitted))
    }

    /// Admits every request whose turn it is, and returns when to try again.
    fn step(&self, waiter: &Waiter<'_>, now: Mono) -> Duration {
        let mut state = self.lock();
        while let Some(ticket) = state.queue.admit(now) {
            if let Some(admit) = state.waiting.remove(&ticket) {
                // If that task was cancelled just now, its token stays unused, which errs on the safe side.
                let _cancelled = admit.send(());
            }
        }
        state.queue.wait(waiter.ticket, waiter.priority, now)
    }

    fn lock(&self) -> MutexGuard<'_, LimiterState> {
        // No code panics while it holds the lock; if it did, the counts would still be the best that is known.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in the queue. Leaves the queue when dropped.
struct Waiter<'a> {
    limiter: &'a RateLimiter,
    ticket: Ticket,
    priority: Priority,
    admitted: bool,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if !self.admitted {
            let mut state = self.limiter.lock();
            state.queue.remove(self.ticket, self.priority);
            state.waiting.remove(&self.ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const LONG: Duration = Duration::from_secs(3600);

    /// A limiter that gains a token every ten milliseconds and has none left.
    fn empty() -> Arc<RateLimiter> {
        let limiter = Arc::new(RateLimiter::new(6_600.0, Clock::new()));
        while limiter.try_acquire() {}
        limiter
    }

    /// The number of requests that the limiter still holds.
    fn left_behind(limiter: &RateLimiter) -> usize {
        let state = limiter.lock();
        state.waiting.len() + state.queue.waiting()
    }

    #[tokio::test]
    async fn all_waiting_requests_are_admitted() {
        let limiter = empty();
        let waiting: Vec<_> = (0..30)
            .map(|n| {
                let limiter = limiter.clone();
                tokio::spawn(async move { limiter.acquire(Priority::ALL[n % 7], LONG).await })
            })
            .collect();
        for task in waiting {
            assert_eq!(task.await.unwrap(), Ok(()));
        }
        assert_eq!(left_behind(&limiter), 0);
    }

    #[tokio::test]
    async fn a_request_that_waited_too_long_leaves_the_queue() {
        let limiter = empty();
        limiter.pause(LONG);
        let soon = limiter.clock.mono() + Duration::from_millis(5);
        assert_eq!(limiter.acquire(Priority::Listing, soon).await, Err(AcquireError::TooLong));
        assert_eq!(left_behind(&limiter), 0);
    }

    #[tokio::test]
    async fn a_cancelled_request_leaves_the_queue() {
        let limiter = empty();
        limiter.pause(Duration::from_secs(60));
        let task = tokio::spawn({
            let limiter = limiter.clone();
            async move { limiter.acquire(Priority::Listing, LONG).await }
        });
        while limiter.lock().queue.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(left_behind(&limiter), 0);
    }
}
