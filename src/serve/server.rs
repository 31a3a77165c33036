//! The listener: so many connections, so long each, and a stop that comes to an end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use prometheus::IntCounter;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::health::Readiness;
use super::routes::{Exposed, router};
use super::settings::ServerSettings;

/// How many connections there are at once; others wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 256;

/// How long a request's head may take to arrive, and a connection may lie idle. Longer than the usual scrape interval,
/// so that a scraper keeps its connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);

/// How large a request's head may be, in bytes and in fields.
const MAX_HEAD_BYTES: usize = 16 << 10;
const MAX_HEADERS: usize = 64;

/// How long a connection is kept, however busy: one that reads nothing of its answer goes, too.
const MAX_AGE: Duration = Duration::from_secs(300);

/// How long an answer that is under way may take once its connection has to go.
const GRACE: Duration = Duration::from_secs(5);

/// How long to wait after a connection could not be accepted: mostly, too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    router: Router,
    readiness: Readiness,
    room: Arc<Semaphore>,
    no_room: IntCounter,
}

/// Why the server cannot listen, in one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("cannot listen on {0}: another program listens there; stop it, or set `server.listen` to another port")]
    Taken(SocketAddr),
    #[error("cannot listen on {0}: this user may not; ports below 1024 need CAP_NET_BIND_SERVICE")]
    NotPermitted(SocketAddr),
    #[error("cannot listen on {0}: this machine does not have this address")]
    NotOurs(SocketAddr),
    #[error("cannot listen on {0}")]
    Other(SocketAddr, #[source] io::Error),
}

impl BindError {
    fn of(address: SocketAddr, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::Taken(address),
            io::ErrorKind::PermissionDenied => Self::NotPermitted(address),
            io::ErrorKind::AddrNotAvailable => Self::NotOurs(address),
            _ => Self::Other(address, error),
        }
    }
}

impl Server {
    /// Listens. Connections are accepted by the kernel from now on and answered once [`run`](Self::run) runs.
    ///
    /// # Errors
    /// [`BindError`] if the address is not to be had.
    pub async fn bind(settings: &ServerSettings, exposed: Exposed) -> Result<Self, BindError> {
        let of = |error| BindError::of(settings.listen, error);
        let listener = TcpListener::bind(settings.listen).await.map_err(of)?;
        let local_addr = listener.local_addr().map_err(of)?;
        let no_room = exposed.limit_reached.with_label_values(&["http_connections"]);
        let readiness = exposed.readiness.clone();
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        Ok(Self { listener, local_addr, router: router(exposed), readiness, room, no_room })
    }

    /// Where it listens, with the port that the kernel chose if 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Answers until `cancel`, then lets the answers that are under way finish, for at most 5 s.
    pub async fn run(self, cancel: CancellationToken) {
        let connections = TaskTracker::new();
        self.readiness.set_listening(true);
        while let Some((stream, permit)) = self.accept(&cancel).await {
            let connection = serve(stream, self.router.clone(), cancel.clone());
            connections.spawn(async move {
                connection.await;
                drop(permit);
            });
        }
        self.readiness.set_listening(false);
        drop(self.listener);
        connections.close();
        // Bounded: since `cancel`, each connection has its grace and no more.
        connections.wait().await;
    }

    /// The next connection, or `None` when it is time to stop.
    async fn accept(&self, cancel: &CancellationToken) -> Option<(TcpStream, OwnedSemaphorePermit)> {
        let permit = cancel.run_until_cancelled(self.room()).await??;
        loop {
            match cancel.run_until_cancelled(self.listener.accept()).await? {
                Ok((stream, _)) => return Some((stream, permit)),
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    cancel.run_until_cancelled(sleep(ACCEPT_PAUSE)).await?;
                }
            }
        }
    }

    async fn room(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = self.room.clone().try_acquire_owned() {
            return Some(permit);
        }
        self.no_room.inc();
        self.room.clone().acquire_owned().await.ok()
    }
}

/// Whether only this one connection is lost.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Answers the requests of one connection, one after the other.
async fn serve(stream: TcpStream, router: Router, cancel: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    http.max_header_size(MAX_HEAD_BYTES).max_headers(MAX_HEADERS).max_buf_size(2 * MAX_HEAD_BYTES);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    // What ends a connection early is the other side's affair: it gave up, or it was cut for being slow.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = cancel.cancelled() => {}
        () = sleep(MAX_AGE) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(GRACE, connection).await;
}
