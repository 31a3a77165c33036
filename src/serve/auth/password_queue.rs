//! The order in which passwords are checked: one at a time, and whoever failed the least goes first; among equals, those
//! whose password was right before.
//!
//! PasswordAttempts are counted by who asks: an address together with a configured user. All names that no user has count as one.
//! So whoever guesses passwords waits behind everybody who does not, however many connections they have.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::clock::Mono;

/// How many checks may wait. Well below the number of connections, so that waiting ones do not take them all.
pub(super) const MAX_WAITING: usize = 64;

/// How many askers are remembered.
const MAX_ASKERS: usize = 1024;

/// Failures are forgotten when there was none for this long.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// Who presents a password.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asker {
    /// `None` on a unix socket.
    address: Option<IpAddr>,
    /// `None` if no user has the name.
    user: Option<String>,
}

impl Asker {
    /// One host may have all addresses of an IPv6 network of 64 bits, so they count as one.
    pub(super) fn new(address: Option<IpAddr>, user: Option<&str>) -> Self {
        let network = |address: IpAddr| match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        };
        Self { address: address.map(network), user: user.map(str::to_owned) }
    }
}

/// What is remembered of an asker.
#[derive(Debug, Clone, Copy, Default)]
struct PasswordAttempts {
    failures: u32,
    /// A password was right once.
    succeeded: bool,
    last: Mono,
}

/// The place in the queue: by failures, then whose password was right before, then by arrival. Failures come first because
/// behind a proxy a guesser and the user whom it guesses at have one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    failures: u32,
    unknown: bool,
    arrival: u64,
}

/// The queue. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct PasswordQueue(Arc<Mutex<PasswordQueueState>>);

#[derive(Debug, Default)]
struct PasswordQueueState {
    is_taken: bool,
    waiting: BTreeMap<Rank, oneshot::Sender<Turn>>,
    askers: BTreeMap<Asker, PasswordAttempts>,
    arrivals: u64,
}

impl PasswordQueue {
    fn state(&self) -> MutexGuard<'_, PasswordQueueState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn of `asker`. Returns `None` if too many wait who go before. Cancel-safe.
    pub(super) async fn turn(&self, asker: &Asker, now: Mono) -> Option<Turn> {
        let (turn, displaced) = {
            let mut state = self.state();
            if !state.is_taken {
                state.is_taken = true;
                return Some(Turn(self.clone()));
            }
            let rank = state.rank(asker, now);
            let displaced = if state.waiting.len() < MAX_WAITING {
                None
            } else if state.waiting.last_key_value().is_some_and(|(last, _)| rank < *last) {
                state.waiting.pop_last()
            } else {
                return None;
            };
            let (give, turn) = oneshot::channel();
            state.waiting.insert(rank, give);
            (turn, displaced)
        };
        // Whoever waited there is answered that too many wait.
        drop(displaced);
        turn.await.ok()
    }

    /// Notes whether the password was right.
    pub(super) fn note(&self, asker: &Asker, is_right: bool, now: Mono) {
        let mut state = self.state();
        let mut attempts = state.attempts(asker, now);
        attempts.last = now;
        if is_right {
            (attempts.succeeded, attempts.failures) = (true, 0);
        } else {
            attempts.failures = attempts.failures.saturating_add(1);
        }
        if state.askers.len() >= MAX_ASKERS && !state.askers.contains_key(asker) {
            // Whose password was right stays for as long as possible.
            let oldest = state.askers.iter().min_by_key(|(_, attempts)| (attempts.succeeded, attempts.last));
            if let Some(oldest) = oldest.map(|(asker, _)| asker.clone()) {
                state.askers.remove(&oldest);
            }
        }
        state.askers.insert(asker.clone(), attempts);
    }
}

impl PasswordQueueState {
    fn attempts(&self, asker: &Asker, now: Mono) -> PasswordAttempts {
        let attempts = self.askers.get(asker).copied().unwrap_or_default();
        let forgotten = now.saturating_sub(attempts.last) > FORGET_AFTER;
        PasswordAttempts { failures: if forgotten { 0 } else { attempts.failures }, ..attempts }
    }

    fn rank(&mut self, asker: &Asker, now: Mono) -> Rank {
        let PasswordAttempts { failures, succeeded, .. } = self.attempts(asker, now);
        self.arrivals += 1;
        Rank { unknown: !succeeded, failures, arrival: self.arrivals }
    }
}

/// The right to check a password. Dropping it gives it to the next.
#[derive(Debug)]
pub(super) struct Turn(PasswordQueue);

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut state = self.0.state();
            let next = state.waiting.pop_first();
            state.is_taken = next.is_some();
            next
        };
        if let Some((_, give)) = next {
            // If the client has gone, the turn comes back and is dropped, which gives it to the one after.
            let _ = give.send(Turn(self.0.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;

    const NOW: Mono = Duration::from_secs(1000);

    fn asker(last: u8, user: Option<&str>) -> Asker {
        Asker::new(Some(IpAddr::from([192, 0, 2, last])), user)
    }

    fn polled<F: Future<Output = Option<Turn>>>(future: &mut Pin<&mut F>) -> Poll<Option<Turn>> {
        future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn whoever_failed_the_least_goes_first_and_among_equals_whose_password_was_right_before() {
        let queue = PasswordQueue::default();
        let (guesser, typo, fresh, known) =
            (asker(1, None), asker(2, Some("ada")), asker(3, Some("ada")), asker(4, Some("bo")));
        for _ in 0..5 {
            queue.note(&guesser, false, NOW);
        }
        queue.note(&typo, false, NOW);
        queue.note(&known, true, NOW);
        let mut turn = queue.turn(&guesser, NOW).await;
        let mut waiting = [
            ("guesser", Box::pin(queue.turn(&guesser, NOW))),
            ("typo", Box::pin(queue.turn(&typo, NOW))),
            ("fresh", Box::pin(queue.turn(&fresh, NOW))),
            ("known", Box::pin(queue.turn(&known, NOW))),
        ]
        .to_vec_of_pending();
        let mut order = Vec::new();
        while !waiting.is_empty() {
            drop(turn.take());
            let mut next = None;
            waiting.retain_mut(|(name, future)| match polled(&mut future.as_mut()) {
                Poll::Ready(given) => {
                    order.push(*name);
                    next = given;
                    false
                }
                Poll::Pending => true,
            });
            turn = next;
        }
        assert_eq!(order, ["known", "fresh", "typo", "guesser"]);
    }

    /// Polls each once, so that it waits in the queue.
    trait ToPending<T> {
        fn to_vec_of_pending(self) -> Vec<T>;
    }

    impl<F: Future<Output = Option<Turn>>, const N: usize> ToPending<(&'static str, Pin<Box<F>>)>
        for [(&'static str, Pin<Box<F>>); N]
    {
        fn to_vec_of_pending(self) -> Vec<(&'static str, Pin<Box<F>>)> {
            let mut all = Vec::from(self);
            for (name, future) in &mut all {
                assert!(polled(&mut future.as_mut()).is_pending(), "{name}");
            }
            all
        }
    }

    #[tokio::test]
    async fn a_full_queue_of_guesses_makes_room_for_somebody_who_did_not_fail() {
        let queue = PasswordQueue::default();
        let guesser = asker(1, Some("ada"));
        queue.note(&guesser, false, NOW);
        let turn = queue.turn(&guesser, NOW).await;
        let mut guesses: Vec<_> = (0..MAX_WAITING).map(|_| Box::pin(queue.turn(&guesser, NOW))).collect();
        assert!(guesses.iter_mut().all(|guess| polled(&mut guess.as_mut()).is_pending()));
        assert!(queue.turn(&guesser, NOW).await.is_none(), "one more guess is turned away");
        let fresh = asker(2, Some("ada"));
        let mut right = pin!(queue.turn(&fresh, NOW));
        assert!(polled(&mut right).is_pending());
        assert!(matches!(polled(&mut guesses[MAX_WAITING - 1].as_mut()), Poll::Ready(None)), "the last one makes room");
        drop(turn);
        assert!(matches!(polled(&mut right), Poll::Ready(Some(_))));
    }

    #[tokio::test]
    async fn the_turn_of_a_client_that_has_gone_goes_to_the_next() {
        let queue = PasswordQueue::default();
        let turn = queue.turn(&asker(1, None), NOW).await;
        let (one, two) = (asker(2, None), asker(3, None));
        let mut gone = Box::pin(queue.turn(&one, NOW));
        let mut next = pin!(queue.turn(&two, NOW));
        assert!(polled(&mut gone.as_mut()).is_pending() && polled(&mut next).is_pending());
        drop(gone);
        drop(turn);
        assert!(matches!(polled(&mut next), Poll::Ready(Some(_))));
        assert!(queue.state().waiting.is_empty());
    }

    #[test]
    fn all_addresses_of_one_ipv6_network_are_one_asker() {
        let at = |address: &str| Asker::new(Some(address.parse().unwrap()), None);
        assert_eq!(at("2001:db8::1"), at("2001:db8::2:3"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
    }

    #[test]
    fn failures_are_forgotten_after_a_while_and_the_number_of_askers_is_bounded() {
        let queue = PasswordQueue::default();
        let one = asker(1, None);
        queue.note(&one, false, NOW);
        assert_eq!(queue.state().rank(&one, NOW).failures, 1);
        assert_eq!(queue.state().rank(&one, NOW + FORGET_AFTER + Duration::from_secs(1)).failures, 0);
        for number in 0..3000_u32 {
            queue.note(&Asker::new(Some(IpAddr::V4(number.into())), None), false, NOW);
        }
        assert!(queue.state().askers.len() <= MAX_ASKERS);
    }
}
