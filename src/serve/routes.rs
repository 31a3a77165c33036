//! Which path leads where, and which of them need the token.

use std::fmt;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use prometheus::{IntCounterVec, Registry};
use tokio::sync::Semaphore;

use super::desk::Desk;
use super::front::{Fronts, Reload};
use super::health::{self, Readiness};
use super::keys::Doorkeeper;
use super::{conferences, deliveries, endpoints, guard, metrics, reload, status};
use crate::status::StatusBoard;

/// How many scrapes are answered at once.
const MAX_SCRAPES: usize = 4;

/// The longest body of a request, in bytes.
const MAX_BODY_BYTES: usize = 16 << 10;

/// What the server shows.
#[derive(Clone)]
pub struct Exposed {
    /// Everything that [`metrics`](super::metrics) and the other rooms registered.
    pub registry: Registry,
    pub board: StatusBoard,
    pub readiness: Readiness,
    /// As [`limit_reached`](super::metrics::limit_reached) made it.
    pub limit_reached: IntCounterVec,
    pub fronts: Fronts,
    pub desk: Desk,
    pub reload: Arc<dyn Reload>,
}

impl fmt::Debug for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposed").finish_non_exhaustive()
    }
}

/// What every route can reach.
pub(super) struct Shared {
    pub(super) registry: Registry,
    pub(super) board: StatusBoard,
    pub(super) readiness: Readiness,
    pub(super) fronts: Fronts,
    pub(super) doorkeeper: Doorkeeper,
    pub(super) scrapes: Semaphore,
    pub(super) desk: Desk,
    pub(super) reload: Arc<dyn Reload>,
}

/// All routes.
pub(super) fn router(exposed: Exposed) -> Router {
    let Exposed { registry, board, readiness, fronts, desk, reload, .. } = exposed;
    let scrapes = Semaphore::new(MAX_SCRAPES);
    let doorkeeper = Doorkeeper::default();
    let shared = Arc::new(Shared { registry, board, readiness, fronts, doorkeeper, scrapes, desk, reload });
    let metrics = Router::new()
        .route("/metrics", get(metrics::scrape))
        .route_layer(from_fn_with_state(shared.clone(), guard::metrics));
    let health = Router::new()
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route_layer(from_fn_with_state(shared.clone(), guard::health));
    let api = api()
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .route_layer(from_fn_with_state(shared.clone(), guard::api))
        .route_layer(from_fn_with_state(shared.clone(), guard::browser));
    Router::new()
        .merge(metrics)
        .merge(health)
        .merge(api)
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, "there is nothing here") })
        .method_not_allowed_fallback(|| async {
            refusal(StatusCode::METHOD_NOT_ALLOWED, "this method is not for this path")
        })
        .layer(from_fn(careful))
        .with_state(shared)
}

/// What shows people or changes anything.
fn api() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/v1/status", get(status::status))
        .route("/api/v1/conferences", get(conferences::conferences))
        .route("/api/v1/events", get(conferences::events))
        .route("/api/v1/deliveries", get(deliveries::list))
        .route("/api/v1/deliveries/replay", post(deliveries::replay))
        .route("/api/v1/deliveries/{id}", get(deliveries::show))
        .route("/api/v1/endpoints", get(endpoints::list))
        .route("/api/v1/endpoints/{name}", delete(endpoints::remove))
        .route("/api/v1/endpoints/{name}/skipped", get(endpoints::skipped))
        .route("/api/v1/endpoints/{name}/enable", post(endpoints::enable))
        .route("/api/v1/endpoints/{name}/disable", post(endpoints::disable))
        .route("/api/v1/endpoints/{name}/test", post(endpoints::test))
        .route("/-/reload", post(reload::reload))
}

/// An answer that says no, in the shape that all of them have.
pub(super) fn refusal(status: StatusCode, why: impl Into<String>) -> Response {
    (status, Json(serde_json::json!({ "error": why.into() }))).into_response()
}

/// Nothing here is to be kept by a cache or taken for another type by a browser.
async fn careful(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
