//! A small HTTP/1.1 server that can also misbehave: break off a body, reset a connection.

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

use super::api::{Delivery, Reply};

/// So many connections are served at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 2048;
/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait where no connection could be accepted, which is when descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long answers in flight may take once the server stops.
const GRACE: Duration = Duration::from_secs(2);

/// A request, whole.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    /// `None` where it was longer than allowed or did not come whole.
    pub(crate) body: Option<Bytes>,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    Answer(Response<Body>),
    Reset,
}

/// Serves until stopped, then lets answers in flight finish for a moment.
pub(crate) async fn serve<H, F>(listener: TcpListener, max_body: usize, stop: CancellationToken, handler: H)
where
    H: Fn(Received) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Outcome> + Send + 'static,
{
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &room) => accepted,
        };
        // What fails here is one connection, or descriptors that other connections will free.
        let Some((stream, permit)) = accepted else { continue };
        let _ = stream.set_nodelay(true);
        let reset = Arc::new(AtomicBool::new(false));
        let io = TokioIo::new(Resettable { stream, reset: Arc::clone(&reset) });
        let handler = handler.clone();
        let service = hyper::service::service_fn(move |request| {
            let (handler, reset) = (handler.clone(), Arc::clone(&reset));
            async move {
                match handler(receive(request, max_body).await).await {
                    Outcome::Answer(response) => Ok(response),
                    Outcome::Reset => {
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
            // A connection that fails has failed for its client; there is nobody else to tell.
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
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, permit)),
        Err(_) => {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn receive(request: hyper::Request<hyper::body::Incoming>, max_body: usize) -> Received {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(Body::new(body), max_body).await.ok();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    Received { method: head.method.to_string(), target, headers: head.headers, body }
}

/// Puts an API's reply on the wire, after its delay.
pub(crate) async fn deliver(reply: Reply) -> Outcome {
    if !reply.delay.is_zero() {
        tokio::time::sleep(reply.delay).await;
    }
    let length = reply.body.len();
    let body = Bytes::from(reply.body);
    let body = match reply.delivery {
        Delivery::Reset => return Outcome::Reset,
        Delivery::Whole => Body::from(body),
        Delivery::CutOff(at) => Body::new(CutOff { part: Some(body.slice(..at.min(length))), paused: false }),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(&value)) {
            response.headers_mut().insert(name, value);
        }
    }
    Outcome::Answer(response)
}

/// A body that gives its part, lets it be flushed, and fails.
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

/// A connection that, once told, ends with a reset instead of a farewell.
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
            // A shutdown would say goodbye.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
