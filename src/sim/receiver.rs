//! A webhook receiver for tests: verifies signatures, counts and keeps deliveries, and fails as configured.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::http::{self, HttpOutcome, ReceivedRequest};
use crate::clock::{Clock, Now};

/// The longest time an answer hangs.
const LONGEST_HANG: Duration = Duration::from_secs(600);

/// Returns whether a request's headers and body carry a valid signature.
pub type Verify = Arc<dyn Fn(&HeaderMap, &[u8]) -> bool + Send + Sync>;

/// The settings of a receiver.
pub struct ReceiverSettings {
    /// Port 0 selects a free port.
    pub listen: SocketAddr,
    pub verify: Verify,
    /// How many deliveries are kept, and how many ids are remembered to recognise duplicates. The oldest are dropped
    /// first.
    pub keep: usize,
    /// A longer body is answered with 413 and counted as refused.
    pub max_body: usize,
    /// A channel that each verified delivery is sent to as well. While it is full, senders wait for their answer.
    pub forward: Option<mpsc::Sender<Delivered>>,
}

impl ReceiverSettings {
    /// Returns settings for a receiver on this address that keeps the last 20 000 deliveries of at most 1 MiB.
    #[must_use]
    pub fn new(listen: SocketAddr, verify: Verify) -> Self {
        Self { listen, verify, keep: 20_000, max_body: 1 << 20, forward: None }
    }
}

impl fmt::Debug for ReceiverSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiverSettings")
            .field("listen", &self.listen)
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}

/// How the receiver answers verified deliveries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// 204, and the delivery counts.
    #[default]
    Accept,
    /// This status and headers such as `retry-after`. Only a 2xx counts as accepted.
    Answer(u16, Vec<(&'static str, String)>),
    /// No answer until the behaviour changes, the sender gives up, or ten minutes have passed; then the connection is
    /// reset.
    Hang,
    /// The connection is reset without an answer.
    Reset,
    /// Accepts and resets the connection without an answer, so the delivery is sent again.
    AcceptSilently,
}

/// One request with a valid signature.
#[derive(Debug, Clone)]
pub struct Delivered {
    pub at: Now,
    /// The header `webhook-id`.
    pub id: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// Whether a delivery with this id was accepted before.
    pub duplicate: bool,
    /// Whether it was accepted: answered with 2xx, or by [`Behaviour::AcceptSilently`].
    pub accepted: bool,
}

impl Delivered {
    /// Returns the body as JSON, or null if it is not JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns a header if it is present and text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Counters of the requests received so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accepted for the first time.
    pub accepted: u64,
    /// Accepted again.
    pub duplicates: u64,
    /// With a valid signature, and answered with another status than 2xx or not at all.
    pub turned_away: u64,
    /// Without a valid signature, or too long.
    pub refused: u64,
}

/// A running receiver. It stops when dropped; [`Receiver::stop`] also waits until it has.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<ReceiverState>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

struct ReceiverState {
    settings: ReceiverSettings,
    clock: Clock,
    inbox: Mutex<Inbox>,
    changes: watch::Sender<u64>,
    behaviour: watch::Sender<Behaviour>,
    stop: CancellationToken,
}

#[derive(Debug, Default)]
struct Inbox {
    counts: Counts,
    kept: VecDeque<Delivered>,
    accepted: HashSet<String>,
    accepted_order: VecDeque<String>,
}

impl fmt::Debug for ReceiverState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiverState").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Receiver {
    /// Binds the address and receives in the background until stopped.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(settings: ReceiverSettings) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.listen).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let max_body = settings.max_body;
        let shared = Arc::new(ReceiverState {
            settings,
            clock: Clock::new(),
            inbox: Mutex::default(),
            changes: watch::Sender::new(0),
            behaviour: watch::Sender::new(Behaviour::Accept),
            stop: stop.clone(),
        });
        let handler = {
            let shared = Arc::clone(&shared);
            move |received| ReceiverState::receive(Arc::clone(&shared), received)
        };
        let task = tokio::spawn(http::serve(listener, max_body, stop.clone(), handler));
        Ok(Self { address, shared, stop, task: Some(task) })
    }

    /// Returns the address it listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL to send deliveries to. Every path is accepted.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Changes the behaviour from now on, also for requests that hang.
    pub fn behave(&self, behaviour: Behaviour) {
        self.shared.behaviour.send_replace(behaviour);
    }

    /// Returns the counters.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.inbox().counts
    }

    /// Returns the kept deliveries, in the order they were answered.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivered> {
        self.shared.inbox().kept.iter().cloned().collect()
    }

    /// Waits at most `within` until `accepted` different deliveries were accepted. Returns whether they were.
    pub async fn wait_for(&self, accepted: u64, within: Duration) -> bool {
        self.wait_until(within, |_, counts| counts.accepted >= accepted).await
    }

    /// Waits at most `within` until `is_true` of the kept deliveries and the counters. Returns whether it became true.
    /// Checks after each delivery.
    pub async fn wait_until(
        &self,
        within: Duration,
        mut is_true: impl FnMut(&VecDeque<Delivered>, Counts) -> bool,
    ) -> bool {
        let mut changes = self.shared.changes.subscribe();
        let waiting = async {
            loop {
                changes.mark_unchanged();
                let now_true = {
                    let inbox = self.shared.inbox();
                    is_true(&inbox.kept, inbox.counts)
                };
                if now_true {
                    return true;
                }
                if changes.changed().await.is_err() {
                    return false;
                }
            }
        };
        tokio::time::timeout(within, waiting).await.unwrap_or(false)
    }

    /// Returns the first accepted delivery for which `is_it` holds, among those received and those that arrive within
    /// `within`.
    pub async fn want(&self, within: Duration, is_it: impl Fn(&serde_json::Value) -> bool) -> Option<Delivered> {
        let mut found = None;
        let came = self.wait_until(within, |kept, _| {
            found = kept.iter().find(|delivered| delivered.accepted && is_it(&delivered.json())).cloned();
            found.is_some()
        });
        came.await.then_some(found).flatten()
    }

    /// Stops the receiver and waits until it has stopped.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // A task that panicked has stopped as well.
            let _ = task.await;
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl ReceiverState {
    async fn receive(self: Arc<Self>, received: ReceivedRequest) -> HttpOutcome {
        let Some(body) = received.body else { return self.refuse(413) };
        if received.method != "POST" {
            return self.refuse(405);
        }
        let id = received.headers.get("webhook-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        let Some(id) = id.filter(|_| (self.settings.verify)(&received.headers, &body)) else {
            return self.refuse(401);
        };
        let behaviour = self.behaviour.borrow().clone();
        let (accepted, outcome) = match behaviour {
            Behaviour::Accept => (true, status(204, &[])),
            Behaviour::AcceptSilently => (true, HttpOutcome::Reset),
            Behaviour::Answer(code, headers) => ((200..300).contains(&code), status(code, &headers)),
            Behaviour::Reset => (false, HttpOutcome::Reset),
            Behaviour::Hang => {
                self.hang().await;
                (false, HttpOutcome::Reset)
            }
        };
        let delivered = Delivered {
            at: self.clock.now(),
            id,
            headers: received.headers,
            body: body.to_vec(),
            duplicate: false,
            accepted,
        };
        let delivered = self.inbox().keep(delivered, self.settings.keep);
        self.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
        if let Some(forward) = &self.settings.forward {
            // If nobody listens any more or the receiver stops, the delivery still counts as received.
            let _ = self.stop.run_until_cancelled(forward.send(delivered)).await;
        }
        outcome
    }

    fn refuse(&self, code: u16) -> HttpOutcome {
        self.inbox().counts.refused += 1;
        self.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
        status(code, &[])
    }

    async fn hang(&self) {
        let mut behaviour = self.behaviour.subscribe();
        let other = behaviour.wait_for(|behaviour| *behaviour != Behaviour::Hang);
        tokio::select! {
            _ = other => {}
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(LONGEST_HANG) => {}
        }
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        // Counters and lists are consistent even after a panic.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    fn keep(&mut self, mut delivered: Delivered, keep: usize) -> Delivered {
        delivered.duplicate = self.accepted.contains(&delivered.id);
        let count = match (delivered.accepted, delivered.duplicate) {
            (true, false) => &mut self.counts.accepted,
            (true, true) => &mut self.counts.duplicates,
            (false, _) => &mut self.counts.turned_away,
        };
        *count += 1;
        if delivered.accepted && !delivered.duplicate {
            self.accepted.insert(delivered.id.clone());
            self.accepted_order.push_back(delivered.id.clone());
        }
        self.kept.push_back(delivered.clone());
        while self.kept.len() > keep {
            self.kept.pop_front();
        }
        while self.accepted_order.len() > keep {
            if let Some(oldest) = self.accepted_order.pop_front() {
                self.accepted.remove(&oldest);
            }
        }
        delivered
    }
}

fn status(code: u16, headers: &[(&'static str, String)]) -> HttpOutcome {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(*name), HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    HttpOutcome::Answer(response)
}
