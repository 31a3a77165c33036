//! The room for connections. When it is full, a newcomer gets the place of whoever has been quiet for the longest: has sent no
//! whole request yet, be it still greeting in TLS, asked nothing since its last answer, or has not taken all of it. So nobody can
//! keep others out by holding connections, however many; only a request that is being answered is never cut. A flood of new ones
//! can: where as many as there are places come within a round trip, whoever has not sent a whole request by then is cut.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// So many places.
#[derive(Debug)]
pub(super) struct Room {
    places: Mutex<Places>,
    /// A place is free, or somebody fell quiet. One task waits at most.
    changed: Notify,
    size: usize,
}

#[derive(Debug, Default)]
struct Places {
    taken: usize,
    /// Those who can be cut, the one that has been quiet for the longest first.
    quiet: BTreeMap<u64, CancellationToken>,
    /// The next key in `quiet`.
    next: u64,
    /// Somebody was cut and is not gone yet.
    leaving: bool,
}

impl Room {
    pub(super) fn new(size: usize) -> Arc<Self> {
        Arc::new(Self { places: Mutex::default(), changed: Notify::new(), size })
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place if one is free.
    pub(super) fn try_place(self: &Arc<Self>) -> Option<Place> {
        let mut places = self.places();
        (places.taken < self.size).then(|| {
            places.taken += 1;
            Place { room: Arc::clone(self), quiet_as: Mutex::default(), cut: CancellationToken::new() }
        })
    }

    /// Takes a place, that of the quietest if none is free. Waits while requests are being answered on all of them. For one
    /// task alone.
    pub(super) async fn place(self: &Arc<Self>) -> Place {
        loop {
            // Whoever was cut frees its place within moments; one newcomer costs one.
            if let Some(place) = self.try_place() {
                return place;
            }
            {
                let mut places = self.places();
                if !places.leaving
                    && let Some((_, quietest)) = places.quiet.pop_first()
                {
                    places.leaving = true;
                    quietest.cancel();
                }
            }
            self.changed.notified().await;
        }
    }
}

/// One connection's place. Free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Room>,
    /// Its key among the quiet.
    quiet_as: Mutex<Option<u64>>,
    cut: CancellationToken,
}

impl Place {
    /// Cancelled when the place is given to somebody else.
    pub(super) fn cut(&self) -> &CancellationToken {
        &self.cut
    }

    /// From now on it can be given to somebody else, after all who can already.
    pub(super) fn falls_quiet(&self) {
        let mut own = self.quiet_as.lock().unwrap_or_else(PoisonError::into_inner);
        let mut places = self.room.places();
        let key = places.next;
        places.next += 1;
        if let Some(before) = own.replace(key) {
            places.quiet.remove(&before);
        }
        places.quiet.insert(key, self.cut.clone());
        drop(places);
        self.room.changed.notify_one();
    }

    /// From now on it is kept. `false` if it is given away already.
    pub(super) fn is_busy(&self) -> bool {
        let mut own = self.quiet_as.lock().unwrap_or_else(PoisonError::into_inner);
        own.take().is_none_or(|key| self.room.places().quiet.remove(&key).is_some())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let own = *self.quiet_as.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut places = self.room.places();
        places.taken -= 1;
        if let Some(key) = own {
            places.quiet.remove(&key);
        }
        if self.cut.is_cancelled() {
            places.leaving = false;
        }
        drop(places);
        self.room.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn full(size: usize) -> (Arc<Room>, Vec<Place>) {
        let room = Room::new(size);
        let places = (0..size).map(|_| room.try_place().unwrap()).collect();
        (room, places)
    }

    #[tokio::test]
    async fn the_place_of_whoever_has_been_quiet_for_the_longest_is_given_away() {
        let (room, mut places) = full(3);
        places.iter().for_each(Place::falls_quiet);
        assert!(places[0].is_busy());
        places[0].falls_quiet();
        let mut cx = Context::from_waker(Waker::noop());
        let mut newcomer = pin!(room.place());
        assert!(newcomer.as_mut().poll(&mut cx).is_pending());
        let cut: Vec<bool> = places.iter().map(|place| place.cut().is_cancelled()).collect();
        assert_eq!(cut, [false, true, false], "the second is quiet for the longest, and one is enough");
        assert!(!places[1].is_busy(), "it is too late for it");
        drop(places.remove(1));
        assert!(newcomer.as_mut().poll(&mut cx).is_ready());
        assert!(places.iter().all(Place::is_busy));
    }

    #[tokio::test]
    async fn who_is_being_answered_keeps_its_place_until_it_falls_quiet() {
        let (room, mut places) = full(2);
        assert!(room.try_place().is_none());
        let mut cx = Context::from_waker(Waker::noop());
        let mut newcomer = pin!(room.place());
        assert!(newcomer.as_mut().poll(&mut cx).is_pending());
        assert!(places.iter().all(|place| !place.cut().is_cancelled()));
        places[0].falls_quiet();
        assert!(newcomer.as_mut().poll(&mut cx).is_pending());
        assert!(places[0].cut().is_cancelled());
        drop(places.remove(0));
        let newcomer = newcomer.as_mut().poll(&mut cx);
        assert!(newcomer.is_ready(), "there is room");
        drop((newcomer, places));
        assert_eq!(room.places().taken, 0);
    }
}
