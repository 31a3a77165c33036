//! The accept loop: a bounded number of connections, and a stop that ends within a bounded time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use prometheus::IntCounter;
use rustix::process::{Resource, getrlimit};
use tokio::task::yield_now;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::bind::{BindError, Listener};
use super::connection::{AcceptedConnection, PeerAddress, serve_connection};
use super::connection_slots::{ConnectionSlot, ConnectionSlots};
use super::listen::Listen;
use crate::clock::{Clock, Mono};
use crate::open_files;
use crate::serve::live_config::LiveConfigCell;
use crate::serve::readiness::Readiness;
use crate::serve::router::router;
use crate::serve::settings::ServerSettings;
use crate::serve::state::ServerParts;

/// The number of connections at one time. A further one evicts the one that has been idle for the longest.
const MAX_CONNECTIONS: usize = 256;

/// The share of the process's open files that connections may take: one in so many. The rest is for the store, Google and
/// the receivers.
const SHARE_OF_FILES: u64 = 4;

/// The fewest connections, however low the limit of open files.
const MIN_CONNECTIONS: u64 = 4;

/// How often a failure to accept that lasts is logged again.
const LOG_AGAIN_AFTER: Duration = Duration::from_secs(600);

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
    clock: Clock,
}

/// Returns how many connections there may be if the process may have `files` open files; `None`: no limit.
fn connections_within(files: Option<u64>) -> usize {
    let share = files.map_or(u64::MAX, |files| (files / SHARE_OF_FILES).max(MIN_CONNECTIONS));
    usize::try_from(share).unwrap_or(MAX_CONNECTIONS).min(MAX_CONNECTIONS)
}

/// The failures to accept that are going on.
#[derive(Debug, Default)]
struct AcceptFailures {
    failed: u64,
    since: Mono,
    logged_at: Option<Mono>,
}

impl Server {
    /// Makes the server of a socket.
    #[must_use]
    pub fn new(socket: BoundSocket, parts: ServerParts) -> Self {
        let BoundSocket { listener, listens_on } = socket;
        let slots_exhausted = parts.limit_reached.with_label_values(&["http_connections"]);
        let readiness = parts.readiness.clone();
        let slots = ConnectionSlots::new(connections_within(getrlimit(Resource::Nofile).current));
        let (live_config, clock) = (parts.live_config.clone(), parts.api.clock);
        Self { listener, listens_on, live_config, router: router(parts), readiness, slots, slots_exhausted, clock }
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
        let mut failures = AcceptFailures::default();
        while let Some(accepted) = self.accept(&cancel, &mut failures).await {
            let tls = self.live_config.current().tls.as_ref().map(|tls| tls.config());
            connections.spawn(serve_connection(accepted, tls, self.router.clone(), cancel.clone()));
        }
        self.readiness.set_listening(false);
        drop(self.listener);
        connections.close();
        // Bounded: after `cancel`, each connection ends within its grace period.
        connections.wait().await;
    }

    /// Returns the next connection with its slot, or `None` after `cancel`.
    async fn accept(&self, cancel: &CancellationToken, failures: &mut AcceptFailures) -> Option<AcceptedConnection> {
        loop {
            match cancel.run_until_cancelled(self.listener.accept()).await? {
                Ok((stream, address)) => {
                    failures.end(self.clock.mono());
                    let slot = cancel.run_until_cancelled(self.take_slot()).await?;
                    return Some(AcceptedConnection { stream, peer: PeerAddress(address), slot });
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    failures.note(&error, self.clock.mono());
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

impl AcceptFailures {
    /// Logs the first failure, and then one now and again while they last.
    fn note(&mut self, error: &io::Error, now: Mono) {
        if self.failed == 0 {
            self.since = now;
        }
        self.failed += 1;
        if self.logged_at.is_some_and(|at| now.saturating_sub(at) < LOG_AGAIN_AFTER) {
            return;
        }
        self.logged_at = Some(now);
        let failed = self.failed;
        if open_files::are_exhausted(error) {
            tracing::warn!(
                failed,
                "the HTTP server cannot accept connections: {}; it tries again every 0.5 s; {}",
                open_files::EXHAUSTED,
                open_files::REMEDY
            );
        } else {
            tracing::warn!(failed, %error, "the HTTP server cannot accept connections; it tries again every 0.5 s");
        }
    }

    fn end(&mut self, now: Mono) {
        if self.failed > 0 {
            let seconds = now.saturating_sub(self.since).as_secs();
            tracing::debug!(failed = self.failed, seconds, "the HTTP server accepts connections again");
            self.failed = 0;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_take_no_more_than_a_share_of_the_open_files() {
        assert_eq!(connections_within(Some(64)), 16);
        assert_eq!(connections_within(Some(8)), 4);
        assert_eq!(connections_within(Some(1024)), 256);
        assert_eq!(connections_within(Some(1 << 20)), 256);
        assert_eq!(connections_within(None), 256);
    }

    #[test]
    fn failures_to_accept_are_logged_once_in_a_while() {
        let mut failures = AcceptFailures::default();
        let too_many = io::Error::from_raw_os_error(24);
        let mut logged = Vec::new();
        for second in 0..1500 {
            failures.note(&too_many, Duration::from_secs(second));
            if failures.logged_at == Some(Duration::from_secs(second)) {
                logged.push(second);
            }
            failures.end(Duration::from_secs(second));
        }
        assert_eq!(logged, [0, 600, 1200]);
    }
}
