//! The daemon as one value: [`App::start`] builds every part and connects them, [`App::run`] runs them until it is told to
//! stop and then stops them in order.
//!
//! Nothing here is global, so a test can start two daemons in one process. `reload` replaces the configuration of a daemon
//! that runs.

mod error;
mod front;
mod reload;
mod run;
mod secrets;
mod start;
mod watch_setup;

use std::time::Duration;

use tokio::sync::{mpsc, watch as value};

use crate::clock::Clock;
use crate::delivery::Dispatcher;
use crate::heartbeat::Liveness;
use crate::meet::Client;
use crate::serve::{Listen, Readiness, Server};
use crate::status::StatusBoard;
use crate::store::Store;
use crate::systemd::Notifier;
use crate::watch::{self, Scheduler};

pub use error::{RunError, StartError};
pub use reload::ReloadHandle;
use reload::{ReloadRequests, Reloader};
pub use start::StartOptions;

/// A daemon that has opened its store and bound its address, and does nothing yet.
#[derive(Debug)]
pub struct App {
    clock: Clock,
    board: StatusBoard,
    readiness: Readiness,
    liveness: Liveness,
    notifier: Notifier,
    /// The interval within which the service manager expects to hear from the daemon, if it has a watchdog.
    watchdog: Option<Duration>,
    store: Store,
    retention: value::Receiver<Duration>,
    scheduler: Scheduler,
    watching: watch::WatchParts<Client>,
    watch_changes: mpsc::Receiver<watch::ReconfigureRequest<Client>>,
    dispatcher: Dispatcher,
    server: Server,
    reloader: Reloader,
    reload_handle: ReloadHandle,
    reload_requests: ReloadRequests,
}

impl App {
    /// Returns a handle that requests reloads of the configuration.
    #[must_use]
    pub fn reload_handle(&self) -> ReloadHandle {
        self.reload_handle.clone()
    }

    /// Returns the address at which metrics, health and the API are served.
    #[must_use]
    pub fn listens_on(&self) -> &Listen {
        self.server.listens_on()
    }

    /// Returns the open store, for reading.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }
}
