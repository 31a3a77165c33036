//! What the service manager is told, and which loops are watched over for it.

use std::time::Duration;

use super::App;
use crate::failpoints::HangAt;
use crate::systemd::{self, Notifier, Watchdog, WatchedLoop};

/// A loop that turns every second and did not for so long hangs.
const LOOP_DEADLINE: Duration = Duration::from_secs(15);

/// The same for the store's writer, of which one turn is a whole group of transactions on a disk that may be slow.
const WRITER_DEADLINE: Duration = Duration::from_secs(60);

impl App {
    /// The same, telling a service manager how it goes, and as often as a watchdog with this patience wants to hear it
    /// that it is alive.
    #[must_use]
    pub fn notifying(mut self, notifier: Notifier, patience: Option<Duration>) -> Self {
        self.reloader.notifier = notifier;
        Self { patience, ..self }
    }

    /// The same, with a poll loop that hangs where a test wants it to.
    #[must_use]
    pub fn hanging_at(mut self, hang: HangAt) -> Self {
        self.watching.hang = hang;
        self
    }

    /// What tells the service manager, and watches over the loops for it.
    pub(super) fn supervising(&self) -> systemd::SupervisorParts {
        let loops = [
            ("polling", self.watching.heartbeat.clone(), LOOP_DEADLINE),
            ("writing", self.store.heartbeat(), WRITER_DEADLINE),
            ("delivering", self.dispatcher.heartbeat(), LOOP_DEADLINE),
        ];
        let watched = loops.map(|(name, heartbeat, deadline)| WatchedLoop { name, heartbeat, deadline });
        systemd::SupervisorParts {
            notifier: self.reloader.notifier.clone(),
            watchdog: Watchdog::new(watched.into(), self.clock.mono()),
            ping_timeout: self.patience,
            board: self.board.clone(),
            store: self.store.clone(),
            clock: self.clock,
        }
    }
}
