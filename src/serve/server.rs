//! The listener: so many connections, so long each, and a stop that comes to an end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use prometheus::IntCounter;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::front::Fronts;
use super::health::Readiness;
use super::listen::{BindError, Connection, Listen, Listener};
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

/// How long the greeting of TLS may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How often it is looked whether a certificate's file has changed.
const LOOK_AT_FILES: Duration = Duration::from_secs(10);

/// How long to wait after a connection could not be accepted: mostly, too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    listens_on: Listen,
    fronts: Fronts,
    router: Router,
    readiness: Readiness,
    room: Arc<Semaphore>,
    no_room: IntCounter,
}

impl Server {
    /// Listens. Connections are accepted by the kernel from now on and answered once [`run`](Self::run) runs.
    ///
    /// # Errors
    /// [`BindError`] if the address is not to be had.
    pub async fn bind(settings: &ServerSettings, exposed: Exposed) -> Result<Self, BindError> {
        let (listener, listens_on) = Listener::bind(&settings.listen, settings.inherited.as_ref()).await?;
        let no_room = exposed.limit_reached.with_label_values(&["http_connections"]);
        let readiness = exposed.readiness.clone();
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let fronts = exposed.fronts.clone();
        Ok(Self { listener, listens_on, fronts, router: router(exposed), readiness, room, no_room })
    }

    /// Where it listens, with the port that the kernel chose if 0 was asked for.
    #[must_use]
    pub fn listens_on(&self) -> &Listen {
        &self.listens_on
    }

    /// Answers until `cancel`, then lets the answers that are under way finish, for at most 5 s.
    pub async fn run(self, cancel: CancellationToken) {
        let connections = TaskTracker::new();
        self.readiness.set_listening(true);
        connections.spawn(cancel.clone().run_until_cancelled_owned(look_after_certificates(self.fronts.clone())));
        while let Some((stream, permit)) = self.accept(&cancel).await {
            let tls = self.fronts.now().tls.as_ref().map(|tls| tls.config());
            let connection = greet(stream, tls, self.router.clone(), cancel.clone());
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
    async fn accept(&self, cancel: &CancellationToken) -> Option<(Connection, OwnedSemaphorePermit)> {
        let permit = cancel.run_until_cancelled(self.room()).await??;
        loop {
            match cancel.run_until_cancelled(self.listener.accept()).await? {
                Ok(stream) => return Some((stream, permit)),
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

/// Reads certificates again when their files change.
async fn look_after_certificates(fronts: Fronts) {
    loop {
        sleep(LOOK_AT_FILES).await;
        if let Some(tls) = fronts.now().tls.clone() {
            // A task that died has changed nothing, and the next one looks again.
            let _ = tokio::task::spawn_blocking(move || tls.look()).await;
        }
    }
}

/// Comes to an understanding with the other side, if there is TLS, and answers its requests.
async fn greet(stream: Connection, tls: Option<Arc<ServerConfig>>, router: Router, cancel: CancellationToken) {
    let Some(config) = tls else { return serve(stream, router, cancel).await };
    let greeting = timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream));
    // Whoever does not come to it, in time or at all, has no use for an answer.
    if let Some(Ok(Ok(stream))) = cancel.run_until_cancelled(greeting).await {
        serve(stream, router, cancel).await;
    }
}

/// Answers the requests of one connection, one after the other.
async fn serve<S>(stream: S, router: Router, cancel: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
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
