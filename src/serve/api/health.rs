//! `/livez` and `/readyz`: whether the daemon makes progress, and whether it is ready.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::identities::{IdentityView, identities};
use crate::serve::readiness::ReadinessConditions;
use crate::serve::state::ServerState;

pub(crate) fn router() -> Router<Arc<ServerState>> {
    Router::new().route("/livez", get(live)).route("/readyz", get(ready))
}

/// The response of `/livez`.
#[derive(Debug, Serialize)]
struct LivenessReport {
    alive: bool,
    /// The names of the loops that stopped making progress.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stalled: Vec<&'static str>,
}

/// `/livez`: the process answers, and each loop that the watchdog checks makes progress.
async fn live(State(state): State<Arc<ServerState>>) -> Response {
    let stalled = state.stalled();
    let alive = stalled.is_empty();
    let status = if alive { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(LivenessReport { alive, stalled })).into_response()
}

/// The response of `/readyz`. Identities do not count: a restart would not help one that fails.
#[derive(Debug, Serialize)]
struct ReadinessReport {
    ready: bool,
    #[serde(flatten)]
    conditions: ReadinessConditions,
    #[serde(skip_serializing_if = "Option::is_none")]
    identities: Option<BTreeMap<String, IdentityView>>,
}

/// `/readyz`; with `?verbose`, also the state of each identity.
async fn ready(State(state): State<Arc<ServerState>>, uri: Uri) -> Response {
    let conditions = state.conditions();
    let verbose =
        uri.query().is_some_and(|query| query.split('&').any(|word| word.split('=').next() == Some("verbose")));
    let identities = verbose.then(|| identities(&state.board));
    let ready = conditions.is_ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ReadinessReport { ready, conditions, identities })).into_response()
}
