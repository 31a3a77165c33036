//! Serves one connection: TLS handshake, then one request after another, within bounds of size and time.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::bind::AcceptedStream;
use super::connection_slots::ConnectionSlot;
use crate::serve::refusal::Refusal;

/// How long the head of a request may take to arrive, and a connection may be idle. Longer than the usual scrape
/// interval, so that a scraper keeps its connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);

/// The largest head of a request, in bytes and in header fields.
const MAX_HEAD_BYTES: usize = 16 << 10;
const MAX_HEADERS: usize = 64;

/// How long a connection may last, busy or not. This also ends one whose client does not read its response.
const MAX_AGE: Duration = Duration::from_secs(300);

/// How long a response that is under way may take once the connection has to end.
const GRACE: Duration = Duration::from_secs(5);

/// How long the TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The address of the client, as an extension of each request. `None` on a unix socket.
#[derive(Debug, Clone, Copy)]
pub(in crate::serve) struct PeerAddress(pub(in crate::serve) Option<IpAddr>);

/// An accepted connection.
pub(super) struct AcceptedConnection {
    pub(super) stream: AcceptedStream,
    pub(super) peer: PeerAddress,
    pub(super) slot: ConnectionSlot,
}

/// Serves a connection until the client closes it, it reaches its maximal age, it is evicted, or `cancel`.
pub(super) async fn serve_connection(
    accepted: AcceptedConnection,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    cancel: CancellationToken,
) {
    let AcceptedConnection { stream, peer, slot } = accepted;
    let (evicted, slot) = (slot.evicted().clone(), Arc::new(slot));
    let serving = async {
        let Some(config) = tls else { return serve_http(stream, peer, router, &slot, cancel).await };
        let handshake = timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(config).accept(stream));
        // Without a handshake, no response can be sent.
        if let Some(Ok(Ok(stream))) = cancel.run_until_cancelled(handshake).await {
            serve_http(stream, peer, router, &slot, cancel).await;
        }
    };
    evicted.run_until_cancelled(serving).await;
}

/// Answers the requests of one connection in order.
async fn serve_http<S>(
    stream: S,
    peer: PeerAddress,
    router: Router,
    slot: &Arc<ConnectionSlot>,
    cancel: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    http.max_header_size(MAX_HEAD_BYTES).max_headers(MAX_HEADERS).max_buf_size(2 * MAX_HEAD_BYTES);
    let (routes, slot) = (TowerToHyperService::new(router), Arc::clone(slot));
    let respond = service_fn(move |request| respond(routes.clone(), Arc::clone(&slot), peer, request));
    let connection = http.serve_connection(TokioIo::new(stream), respond);
    tokio::pin!(connection);
    // An early end is not worth logging: the client closed the connection, or was too slow.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = cancel.cancelled() => {}
        () = sleep(MAX_AGE) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(GRACE, connection).await;
}

/// Answers one request. The connection is busy until the response is ready to be sent, and idle again from then on.
async fn respond(
    routes: TowerToHyperService<Router>,
    slot: Arc<ConnectionSlot>,
    peer: PeerAddress,
    mut request: Request<Incoming>,
) -> Result<Response, Infallible> {
    if !slot.mark_busy() {
        // The connection was evicted and is closed before this can be read.
        return Ok(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many connections").into_response());
    }
    request.extensions_mut().insert(peer);
    let response = routes.call(request).await;
    slot.mark_idle();
    response
}
