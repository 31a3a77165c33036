//! Requests for a reload: the handle that sends them, and the queue that the reloader takes them from.

use std::pin::Pin;

use tokio::sync::{mpsc, oneshot};

use crate::serve::{NotReloaded, Reload};

/// How many requests may wait. Further ones are refused and can be repeated later.
const MAX_WAITING: usize = 16;

/// What came of a reload: the warnings of the new configuration, or why the old one stays.
pub(super) type ReloadOutcome = Result<Vec<String>, NotReloaded>;

/// The queue of requests, oldest first. Each is answered with its outcome.
pub(in crate::app) type ReloadRequests = mpsc::Receiver<oneshot::Sender<ReloadOutcome>>;

/// Requests reloads of one daemon. Clones send to the same daemon.
#[derive(Debug, Clone)]
pub struct ReloadHandle(mpsc::Sender<oneshot::Sender<ReloadOutcome>>);

impl ReloadHandle {
    pub(in crate::app) fn new() -> (Self, ReloadRequests) {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        (Self(sender), receiver)
    }

    /// Requests a reload, waits for its end, and returns the warnings of the new configuration. The log has the outcome, too.
    ///
    /// # Errors
    /// [`NotReloaded`]; the daemon keeps the previous configuration.
    pub async fn request(&self) -> Result<Vec<String>, NotReloaded> {
        let (reply, outcome) = oneshot::channel();
        match self.0.try_send(reply) {
            Ok(()) => outcome.await.unwrap_or_else(|_| Err(stopping())),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(stopping()),
            Err(mpsc::error::TrySendError::Full(_)) => {
                Err(NotReloaded::Unavailable("too many reloads are waiting already; nothing was changed".to_owned()))
            }
        }
    }
}

impl Reload for ReloadHandle {
    fn reload(&self) -> Pin<Box<dyn Future<Output = ReloadOutcome> + Send>> {
        let handle = self.clone();
        Box::pin(async move { handle.request().await })
    }
}

pub(super) fn stopping() -> NotReloaded {
    NotReloaded::Unavailable("the daemon is stopping; nothing was changed".to_owned())
}
