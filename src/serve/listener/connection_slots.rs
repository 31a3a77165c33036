//! The slots that bound the number of connections. When all are taken, a new connection evicts the one that has been
//! idle for the longest.
//!
//! A connection is idle while no request of it is being handled: during the TLS handshake, until its request has
//! arrived completely, and while its response is being sent. So nobody can lock others out by holding connections open,
//! however many; and a request that is being handled is never cut. A flood can still evict a client: if as many
//! connections as there are slots arrive within one round trip, a client that has not sent a whole request by then is cut.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// A fixed number of slots.
#[derive(Debug)]
pub(super) struct ConnectionSlots {
    table: Mutex<SlotTable>,
    /// A slot became free, or a connection became idle. At most one task waits.
    changed: Notify,
    size: usize,
}

#[derive(Debug, Default)]
struct SlotTable {
    taken: usize,
    /// The connections that can be evicted. The lowest key has been idle for the longest.
    idle: BTreeMap<u64, CancellationToken>,
    /// The next key in `idle`.
    next_key: u64,
    /// A connection was evicted and has not released its slot yet.
    evicting: bool,
}

impl ConnectionSlots {
    pub(super) fn new(size: usize) -> Arc<Self> {
        Arc::new(Self { table: Mutex::default(), changed: Notify::new(), size })
    }

    fn table(&self) -> MutexGuard<'_, SlotTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a slot if one is free.
    pub(super) fn try_take(self: &Arc<Self>) -> Option<ConnectionSlot> {
        let mut table = self.table();
        (table.taken < self.size).then(|| {
            table.taken += 1;
            ConnectionSlot { slots: Arc::clone(self), idle_key: Mutex::default(), evicted: CancellationToken::new() }
        })
    }

    /// Takes a slot. If none is free, evicts the connection that has been idle for the longest; waits while all are busy.
    /// Cancel-safe. Only one task may wait at a time.
    pub(super) async fn take(self: &Arc<Self>) -> ConnectionSlot {
        loop {
            // An evicted connection releases its slot within moments. Evict one per new connection and no more.
            if let Some(slot) = self.try_take() {
                return slot;
            }
            {
                let mut table = self.table();
                if !table.evicting
                    && let Some((_, longest_idle)) = table.idle.pop_first()
                {
                    table.evicting = true;
                    longest_idle.cancel();
                }
            }
            self.changed.notified().await;
        }
    }
}

/// The slot of one connection. Dropping it releases it.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    slots: Arc<ConnectionSlots>,
    /// Its key in [`SlotTable::idle`], if it is idle.
    idle_key: Mutex<Option<u64>>,
    evicted: CancellationToken,
}

impl ConnectionSlot {
    /// Returns the token that is cancelled when the connection is evicted.
    pub(super) fn evicted(&self) -> &CancellationToken {
        &self.evicted
    }

    /// Marks the connection as idle from now on. It is evicted after those that have been idle for longer.
    pub(super) fn mark_idle(&self) {
        let mut own = self.idle_key.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = self.slots.table();
        let key = table.next_key;
        table.next_key += 1;
        if let Some(before) = own.replace(key) {
            table.idle.remove(&before);
        }
        table.idle.insert(key, self.evicted.clone());
        drop(table);
        self.slots.changed.notify_one();
    }

    /// Marks the connection as busy, so that it is not evicted. Returns `false` if it was evicted already.
    #[must_use]
    pub(super) fn mark_busy(&self) -> bool {
        let mut own = self.idle_key.lock().unwrap_or_else(PoisonError::into_inner);
        own.take().is_none_or(|key| self.slots.table().idle.remove(&key).is_some())
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let own = *self.idle_key.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut table = self.slots.table();
        table.taken -= 1;
        if let Some(key) = own {
            table.idle.remove(&key);
        }
        if self.evicted.is_cancelled() {
            table.evicting = false;
        }
        drop(table);
        self.slots.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn all_taken(size: usize) -> (Arc<ConnectionSlots>, Vec<ConnectionSlot>) {
        let slots = ConnectionSlots::new(size);
        let taken = (0..size).map(|_| slots.try_take().unwrap()).collect();
        (slots, taken)
    }

    #[tokio::test]
    async fn a_new_connection_evicts_the_one_that_has_been_idle_for_the_longest() {
        let (slots, mut taken) = all_taken(3);
        taken.iter().for_each(ConnectionSlot::mark_idle);
        assert!(taken[0].mark_busy());
        taken[0].mark_idle();
        let mut cx = Context::from_waker(Waker::noop());
        let mut newcomer = pin!(slots.take());
        assert!(newcomer.as_mut().poll(&mut cx).is_pending());
        let evicted: Vec<bool> = taken.iter().map(|slot| slot.evicted().is_cancelled()).collect();
        assert_eq!(
            evicted,
            [false, true, false],
            "the second has been idle for the longest, and one eviction is enough"
        );
        assert!(!taken[1].mark_busy(), "an evicted connection cannot become busy");
        drop(taken.remove(1));
        assert!(newcomer.as_mut().poll(&mut cx).is_ready());
        assert!(taken.iter().all(ConnectionSlot::mark_busy));
    }

    #[tokio::test]
    async fn a_busy_connection_keeps_its_slot_until_it_is_idle() {
        let (slots, mut taken) = all_taken(2);
        assert!(slots.try_take().is_none());
        let mut cx = Context::from_waker(Waker::noop());
        let mut newcomer = pin!(slots.take());
        assert!(newcomer.as_mut().poll(&mut cx).is_pending());
        assert!(taken.iter().all(|slot| !slot.evicted().is_cancelled()));
        taken[0].mark_idle();
        assert!(newcomer.as_mut().poll(&mut cx).is_pending());
        assert!(taken[0].evicted().is_cancelled());
        drop(taken.remove(0));
        let newcomer = newcomer.as_mut().poll(&mut cx);
        assert!(newcomer.is_ready(), "a slot is free");
        drop((newcomer, taken));
        assert_eq!(slots.table().taken, 0);
    }
}
