//! The listener: so many connections, so long each, and a stop that comes to an end.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use prometheus::IntCounter;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::front::Fronts;
use super::health::Readiness;
use super::listen::{BindError, Connection, Listen, Listener};
use super::room::{Place, Room};
use super::routes::{Exposed, refusal, router};
use super::settings::ServerSettings;

/// How many connections there are at once. One more takes the place of the quietest.
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
    room: Arc<Room>,
    no_room: IntCounter,
}

impl Server {
    /// Listens. Connections are accepted by the kernel from now on and answered once [`run`](Self::run) runs. Waits for
    /// nothing, but has to be called where tokio runs.
    ///
    /// # Errors
    /// [`BindError`] if the address is not to be had.
    pub async fn bind(settings: &ServerSettings, exposed: Exposed) -> Result<Self, BindError> {
        let (listener, listens_on) = Listener::bind(&settings.listen, settings.inherited.as_ref())?;
        let no_room = exposed.limit_reached.with_label_values(&["http_connections"]);
        let readiness = exposed.readiness.clone();
        let room = Room::new(MAX_CONNECTIONS);
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
        while let Some((stream, place)) = self.accept(&cancel).await {
            let tls = self.fronts.now().tls.as_ref().map(|tls| tls.config());
            connections.spawn(greet(stream, tls, self.router.clone(), place, cancel.clone()));
        }
        self.readiness.set_listening(false);
        drop(self.listener);
        connections.close();
        // Bounded: since `cancel`, each connection has its grace and no more.
        connections.wait().await;
    }

    /// The next connection and its place, or `None` when it is time to stop.
    async fn accept(&self, cancel: &CancellationToken) -> Option<(Connection, Place)> {
        loop {
            match cancel.run_until_cancelled(self.listener.accept()).await? {
                Ok(stream) => return Some((stream, cancel.run_until_cancelled(self.place()).await?)),
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    cancel.run_until_cancelled(sleep(ACCEPT_PAUSE)).await?;
                }
            }
        }
    }

    async fn place(&self) -> Place {
        let place = match self.room.try_place() {
            Some(place) => place,
            None => {
                self.no_room.inc();
                // First those who are there have a turn, so that whoever has sent its request is no longer quiet.
                yield_now().await;
                self.room.place().await
            }
        };
        place.falls_quiet();
        place
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

/// Serves one connection until it ends, it has to go, or its place is given away.
async fn greet(
    stream: Connection,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    place: Place,
    cancel: CancellationToken,
) {
    let (cut, place) = (place.cut().clone(), Arc::new(place));
    let talk = async {
        let Some(config) = tls else { return serve(stream, router, &place, cancel).await };
        let greeting = timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream));
        // Whoever does not come to it, in time or at all, has no use for an answer.
        if let Some(Ok(Ok(stream))) = cancel.run_until_cancelled(greeting).await {
            serve(stream, router, &place, cancel).await;
        }
    };
    cut.run_until_cancelled(talk).await;
}

/// Answers the requests of one connection, one after the other.
async fn serve<S>(stream: S, router: Router, place: &Arc<Place>, cancel: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    http.max_header_size(MAX_HEAD_BYTES).max_headers(MAX_HEADERS).max_buf_size(2 * MAX_HEAD_BYTES);
    let (routes, place) = (TowerToHyperService::new(router), Arc::clone(place));
    let answer = service_fn(move |request| answer(routes.clone(), Arc::clone(&place), request));
    let connection = http.serve_connection(TokioIo::new(stream), answer);
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

/// Answers one request, whose connection is quiet again as soon as the answer only has to be taken.
async fn answer(
    routes: TowerToHyperService<Router>,
    place: Arc<Place>,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    if !place.is_busy() {
        // It is cut before anybody reads this.
        return Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, "too many connections"));
    }
    let response = routes.call(request).await;
    place.falls_quiet();
    response
}
