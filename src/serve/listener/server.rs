//! The accept loop: a bounded number of connections, and a stop that ends within a bounded time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use prometheus::IntCounter;
use tokio::task::yield_now;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::bind::{AcceptedStream, BindError, Listener};
use super::connection::serve_connection;
use super::connection_slots::{ConnectionSlot, ConnectionSlots};
use super::listen::Listen;
use crate::serve::live_config::LiveConfigCell;
use crate::serve::readiness::Readiness;
use crate::serve::router::router;
use crate::serve::settings::ServerSettings;
use crate::serve::state::ServerParts;

/// The number of connections at one time. A further one evicts the one that has been idle for the longest.
const MAX_CONNECTIONS: usize = 256;

/// How often the certificate files are checked for changes.
const CERTIFICATE_CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// The pause after a failed accept. The usual cause is too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// A listening socket. The kernel accepts connections on it; they are answered once a [`Server`] runs on it.
#[derive(Debug)]
pub struct BoundSocket {
    listener: Listener,
    listens_on: Listen,
}

impl BoundSocket {
    /// Opens the listening socket. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`] if the socket cannot be opened.
    pub fn bind(settings: &ServerSettings) -> Result<Self, BindError> {
        let (listener, listens_on) = Listener::bind(&settings.listen, settings.inherited.as_ref())?;
        Ok(Self { listener, listens_on })
    }
}

/// A server whose socket listens. It answers once [`run`](Self::run) is called.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    listens_on: Listen,
    live_config: LiveConfigCell,
    router: Router,
    readiness: Readiness,
    slots: Arc<ConnectionSlots>,
    /// Counts the connections for which no slot was free.
    slots_exhausted: IntCounter,
}

impl Server {
    /// Makes the server of a socket.
    #[must_use]
    pub fn new(socket: BoundSocket, parts: ServerParts) -> Self {
        let BoundSocket { listener, listens_on } = socket;
        let slots_exhausted = parts.limit_reached.with_label_values(&["http_connections"]);
        let readiness = parts.readiness.clone();
        let slots = ConnectionSlots::new(MAX_CONNECTIONS);
        let live_config = parts.live_config.clone();
        Self { listener, listens_on, live_config, router: router(parts), readiness, slots, slots_exhausted }
    }

    /// Returns the address of the socket. If port 0 was configured, it has the port that the kernel chose.
    #[must_use]
    pub fn listens_on(&self) -> &Listen {
        &self.listens_on
    }

    /// Serves until `cancel`, then lets responses that are under way finish, for at most 5 s.
    pub async fn run(self, cancel: CancellationToken) {
        let connections = TaskTracker::new();
        self.readiness.set_listening(true);
        connections.spawn(cancel.clone().run_until_cancelled_owned(watch_certificates(self.live_config.clone())));
        while let Some((stream, slot)) = self.accept(&cancel).await {
            let tls = self.live_config.current().tls.as_ref().map(|tls| tls.config());
            connections.spawn(serve_connection(stream, tls, self.router.clone(), slot, cancel.clone()));
        }
        self.readiness.set_listening(false);
        drop(self.listener);
        connections.close();
        // Bounded: after `cancel`, each connection ends within its grace period.
        connections.wait().await;
    }

    /// Returns the next connection and its slot, or `None` after `cancel`.
    async fn accept(&self, cancel: &CancellationToken) -> Option<(AcceptedStream, ConnectionSlot)> {
        loop {
            match cancel.run_until_cancelled(self.listener.accept()).await? {
                Ok(stream) => return Some((stream, cancel.run_until_cancelled(self.take_slot()).await?)),
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(
                        %error,
                        "the HTTP server could not accept a connection and retries in 0.5 s; if this repeats, raise the limit of open files"
                    );
                    cancel.run_until_cancelled(sleep(ACCEPT_PAUSE)).await?;
                }
            }
        }
    }

    async fn take_slot(&self) -> ConnectionSlot {
        let slot = match self.slots.try_take() {
            Some(slot) => slot,
            None => {
                self.slots_exhausted.inc();
                // Let the other connections run first: one whose request has arrived is no longer idle.
                yield_now().await;
                self.slots.take().await
            }
        };
        slot.mark_idle();
        slot
    }
}

/// Whether the error concerns only the connection that was to be accepted.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Reloads certificates when their files change.
async fn watch_certificates(live_config: LiveConfigCell) {
    loop {
        sleep(CERTIFICATE_CHECK_INTERVAL).await;
        if let Some(tls) = live_config.current().tls.clone() {
            // If the task panics, nothing has changed, and the next check tries again.
            let _ = tokio::task::spawn_blocking(move || tls.reload_if_changed()).await;
        }
    }
}
