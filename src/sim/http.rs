//! A small HTTP/1.1 server that can also cut off a body or reset a connection.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use hyper::body::{Bytes, Frame};
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::api::{ApiReply, Transmission};

/// The number of connections served at once; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 2048;
/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait after a failed accept, which happens when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long responses in flight may take once the server stops.
const GRACE: Duration = Duration::from_secs(2);

/// A request that was received whole.
#[derive(Debug)]
pub(crate) struct ReceivedRequest {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    /// `None` if it exceeded the limit or ended early.
    pub(crate) body: Option<Bytes>,
}

/// How a request is answered.
#[derive(Debug)]
pub(crate) enum HttpOutcome {
    Answer(Response<Body>),
    Reset,
}

/// Serves until `stop` is cancelled, then waits up to [`GRACE`] for responses in flight.
pub(crate) async fn serve<H, F>(listener: TcpListener, max_body: usize, stop: CancellationToken, handler: H)
where
    H: Fn(ReceivedRequest) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = HttpOutcome> + Send + 'static,
{
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        // Only this connection failed, or descriptors ran out and other connections will free some.
        let Some((stream, permit)) = accepted else { continue };
        let _ = stream.set_nodelay(true);
        let reset = Arc::new(AtomicBool::new(false));
        let io = TokioIo::new(Resettable { stream, reset: Arc::clone(&reset) });
        let handler = handler.clone();
        let service = hyper::service::service_fn(move |request| {
            let (handler, reset) = (handler.clone(), Arc::clone(&reset));
            async move {
                match handler(receive(request, max_body).await).await {
                    HttpOutcome::Answer(response) => Ok(response),
                    HttpOutcome::Reset => {
                        reset.store(true, Ordering::Relaxed);
                        Err(io::Error::from(io::ErrorKind::ConnectionReset))
                    }
                }
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(io, service);
        let watched = graceful.watch(connection);
        connections.spawn(async move {
            // The client sees the failure; nothing else depends on the connection.
            let _ = watched.await;
            drop(permit);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
    connections.shutdown().await;
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(_) => {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn receive(request: hyper::Request<hyper::body::Incoming>, max_body: usize) -> ReceivedRequest {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(Body::new(body), max_body).await.ok();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    ReceivedRequest { method: head.method.to_string(), target, headers: head.headers, body }
}

/// Sends a reply of the API after its delay.
pub(crate) async fn deliver(reply: ApiReply) -> HttpOutcome {
    if !reply.delay.is_zero() {
        tokio::time::sleep(reply.delay).await;
    }
    let length = reply.body.len();
    let body = Bytes::from(reply.body);
    let body = match reply.transmission {
        Transmission::Reset => return HttpOutcome::Reset,
        Transmission::Whole => Body::from(body),
        Transmission::CutOff(at) => Body::new(CutOff { part: Some(body.slice(..at.min(length))), paused: false }),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(&value)) {
            response.headers_mut().insert(name, value);
        }
    }
    HttpOutcome::Answer(response)
}

/// A body that yields its first part, lets it be flushed, and then fails.
struct CutOff {
    part: Option<Bytes>,
    paused: bool,
}

impl hyper::body::Body for CutOff {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(part) = self.part.take() {
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
        if !self.paused {
            self.paused = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(io::ErrorKind::BrokenPipe.into())))
    }
}

/// A connection that ends with a TCP reset instead of a shutdown once `reset` is set.
struct Resettable {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Resettable {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Resettable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Resettable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reset.load(Ordering::Relaxed) {
            // A shutdown would send FIN before the reset.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
