//! A [`PriorityQueue`] that tasks can wait at.
//!
//! There is no task behind it: each who waits sleeps until its turn may have come, then lets through whoever is next,
//! and sleeps again if that was somebody else. A task that is cancelled takes itself out of the line.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::bucket::QuotaBucket;
use super::priority_queue::{Ticket, PriorityQueue};
use crate::clock::{Clock, Mono};
use crate::meet::reader::Priority;

/// Room for so many who wait at one limiter.
const MOST_WAITING: usize = 4096;

/// The shortest sleep worth a timer.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);

/// Why somebody was sent away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::meet) enum AcquireError {
    /// The turn would come, or came, too late.
    TooLong,
    /// Too many wait already.
    Full,
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
    calls: HashMap<Ticket, oneshot::Sender<()>>,
}

impl RateLimiter {
    /// A limiter for `limit` requests a minute.
    pub(in crate::meet) fn new(limit: f64, clock: Clock) -> Self {
        let queue = PriorityQueue::new(QuotaBucket::new(limit, clock.mono()), MOST_WAITING);
        Self { state: Mutex::new(LimiterState { queue, calls: HashMap::new() }), clock }
    }

    /// Goes through, if that is possible without waiting.
    pub(in crate::meet) fn try_acquire(&self) -> bool {
        self.lock().queue.try_acquire(self.clock.mono())
    }

    /// Goes through as soon as it is this one's turn, unless that is after `until`.
    pub(in crate::meet) async fn acquire(&self, priority: Priority, until: Mono) -> Result<(), AcquireError> {
        if self.try_acquire() {
            return Ok(());
        }
        let (mut place, mut called) = self.enter(priority)?;
        loop {
            let now = self.clock.mono();
            let wait = self.step(&place, now);
            if called.try_recv().is_ok() {
                place.through = true;
                return Ok(());
            }
            // A pause may be known to outlast the patience; there is no sense in waiting then.
            let left = until.saturating_sub(now);
            if left.is_zero() || self.lock().queue.bucket().wait_for(1, now) > left {
                return Err(AcquireError::TooLong);
            }
            tokio::select! {
                answer = &mut called => if answer.is_ok() {
                    place.through = true;
                    return Ok(());
                },
                () = tokio::time::sleep(wait.min(left).max(SHORTEST_SLEEP)) => {}
            }
        }
    }

    /// Lets nobody through for a time.
    pub(in crate::meet) fn pause(&self, time: Duration) {
        let now = self.clock.mono();
        self.lock().queue.pause(time, now);
    }

    /// Lets `limit` a minute through from now on. What was spent stays spent.
    pub(in crate::meet) fn set_limit(&self, limit: f64) {
        let now = self.clock.mono();
        self.lock().queue.bucket().set_limit(limit, now);
    }

    /// Whether nothing of it is spent.
    pub(in crate::meet) fn is_full(&self) -> bool {
        let now = self.clock.mono();
        self.lock().queue.bucket().is_full(now)
    }

    /// What comes in, a minute.
    pub(in crate::meet) fn per_minute(&self) -> f64 {
        self.lock().queue.bucket().per_minute()
    }

    /// The limit, and the tokens there now.
    pub(in crate::meet) fn level(&self) -> (f64, f64) {
        let now = self.clock.mono();
        let mut state = self.lock();
        let bucket = state.queue.bucket();
        (bucket.limit(), bucket.available(now))
    }

    fn enter(&self, priority: Priority) -> Result<(Waiter<'_>, oneshot::Receiver<()>), AcquireError> {
        let (call, called) = oneshot::channel();
        let mut state = self.lock();
        let ticket = state.queue.enter(priority).ok_or(AcquireError::Full)?;
        state.calls.insert(ticket, call);
        Ok((Waiter { limiter: self, ticket, priority, through: false }, called))
    }

    /// Calls everybody who may go, and says when to look again.
    fn step(&self, place: &Waiter<'_>, now: Mono) -> Duration {
        let mut state = self.lock();
        while let Some(ticket) = state.queue.admit(now) {
            if let Some(call) = state.calls.remove(&ticket) {
                // One who was cancelled this very moment leaves its token unused, which is on the safe side.
                let _cancelled = call.send(());
            }
        }
        state.queue.wait(place.ticket, place.priority, now)
    }

    fn lock(&self) -> MutexGuard<'_, LimiterState> {
        // Nothing in here panics half-way; if it ever did, the counts are still the best that is known.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the line, given up when dropped.
struct Waiter<'a> {
    limiter: &'a RateLimiter,
    ticket: Ticket,
    priority: Priority,
    through: bool,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if !self.through {
            let mut state = self.limiter.lock();
            state.queue.leave(self.ticket, self.priority);
            state.calls.remove(&self.ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const LONG: Duration = Duration::from_secs(3600);

    /// A limiter whose tokens come every ten milliseconds, with none left.
    fn empty() -> Arc<RateLimiter> {
        let limiter = Arc::new(RateLimiter::new(6_600.0, Clock::new()));
        while limiter.try_acquire() {}
        limiter
    }

    /// What a limiter still remembers of those who came.
    fn left_behind(limiter: &RateLimiter) -> usize {
        let state = limiter.lock();
        state.calls.len() + state.queue.waiting()
    }

    #[tokio::test]
    async fn those_who_wait_all_get_through() {
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
    async fn patience_ends_and_leaves_no_trace() {
        let limiter = empty();
        limiter.pause(LONG);
        let soon = limiter.clock.mono() + Duration::from_millis(5);
        assert_eq!(limiter.acquire(Priority::Listing, soon).await, Err(AcquireError::TooLong));
        assert_eq!(left_behind(&limiter), 0);
    }

    #[tokio::test]
    async fn who_is_cancelled_leaves_the_line() {
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
