//! Whether the program lives and whether it is ready: the store is open, the listener is up, nobody asked it to stop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::routes::Shared;
use crate::status::StatusBoard;

/// What readiness depends on. Clones show the same. Not ready when made.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    store: AtomicBool,
    listener: AtomicBool,
    stopping: AtomicBool,
}

/// What held at one moment.
#[derive(Debug, Clone, Copy, Serialize)]
struct Conditions {
    store: bool,
    listener: bool,
    stopping: bool,
}

impl Conditions {
    fn ready(self) -> bool {
        self.store && self.listener && !self.stopping
    }
}

impl Readiness {
    /// Whether the store is open.
    pub fn set_store_open(&self, open: bool) {
        self.0.store.store(open, Ordering::Release);
    }

    /// Whether the listener is up: the server says so itself.
    pub(super) fn set_listening(&self, listening: bool) {
        self.0.listener.store(listening, Ordering::Release);
    }

    /// The program is about to stop: not ready from now on, whatever else holds.
    pub fn set_stopping(&self) {
        self.0.stopping.store(true, Ordering::Release);
    }

    /// Whether everything holds.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.conditions().ready()
    }

    fn conditions(&self) -> Conditions {
        Conditions {
            store: self.0.store.load(Ordering::Acquire),
            listener: self.0.listener.load(Ordering::Acquire),
            stopping: self.0.stopping.load(Ordering::Acquire),
        }
    }
}

/// `/livez`: whoever gets this answer speaks to a process that turns.
pub(super) async fn live() -> Response {
    Json(serde_json::json!({ "alive": true })).into_response()
}

/// What `/readyz` answers.
#[derive(Debug, Serialize)]
struct Ready {
    ready: bool,
    #[serde(flatten)]
    conditions: Conditions,
    #[serde(skip_serializing_if = "Option::is_none")]
    identities: Option<BTreeMap<String, Identity>>,
}

/// How one identity fares. An identity in trouble does not make the program unready: a restart would not help it.
#[derive(Debug, Serialize)]
pub(super) struct Identity {
    /// `null` before its first read.
    up: Option<bool>,
    reason: Option<&'static str>,
    remedy: Option<&'static str>,
}

/// `/readyz`, with `?verbose` how each identity fares.
pub(super) async fn ready(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let conditions = shared.readiness.conditions();
    let verbose =
        uri.query().is_some_and(|query| query.split('&').any(|word| word.split('=').next() == Some("verbose")));
    let identities = verbose.then(|| identities(&shared.board));
    let status = if conditions.ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready: conditions.ready(), conditions, identities })).into_response()
}

/// How each identity fares, by name.
pub(super) fn identities(board: &StatusBoard) -> BTreeMap<String, Identity> {
    let one = |status: &crate::status::IdentityStatus| Identity {
        up: status.up,
        reason: status.reason,
        remedy: status.remedy,
    };
    board.read().identities.iter().map(|(name, status)| (name.to_string(), one(status))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_only_who_has_everything_and_is_not_about_to_stop() {
        let readiness = Readiness::default();
        assert!(!readiness.is_ready());
        readiness.set_store_open(true);
        assert!(!readiness.is_ready());
        readiness.clone().set_listening(true);
        assert!(readiness.is_ready());
        readiness.set_stopping();
        assert!(!readiness.is_ready());
    }
}
