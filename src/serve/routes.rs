//! Which path leads where, and which of them need the token.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use prometheus::{IntCounterVec, Registry};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::desk::Desk;
use super::front::{Fronts, Reload};
use super::health::{self, Readiness};
use super::keys::Doorkeeper;
use super::{attendance, conferences, deliveries, describe, endpoints, forget, guard, metrics, reload, status};
use crate::status::StatusBoard;

/// How many scrapes are answered at once.
const MAX_SCRAPES: usize = 4;

/// The longest body of a request, in bytes.
const MAX_BODY_BYTES: usize = 16 << 10;

/// How long the body of a request may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

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
    let Exposed { registry, board, readiness, limit_reached, fronts, desk, reload } = exposed;
    let scrapes = Semaphore::new(MAX_SCRAPES);
    let doorkeeper = Doorkeeper::new(limit_reached.with_label_values(&["password_checks"]));
    let shared = Arc::new(Shared { registry, board, readiness, fronts, doorkeeper, scrapes, desk, reload });
    let metrics = Router::new()
        .route("/metrics", get(metrics::scrape))
        .route_layer(from_fn_with_state(shared.clone(), guard::metrics));
    let health = Router::new()
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route_layer(from_fn_with_state(shared.clone(), guard::health));
    let api = api()
        .route_layer(from_fn(whole))
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
        .route("/api/v1/openapi.json", get(describe::openapi))
        .route("/api/v1/event.schema.json", get(describe::event))
        .route("/api/v1/status", get(status::status))
        .route("/api/v1/conferences", get(conferences::conferences))
        .route("/api/v1/conferenceRecords/{id}/attendance", get(attendance::of_conference))
        .route("/api/v1/attendance", get(attendance::of_span))
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
        .route("/api/v1/forget", post(forget::forget))
        .route("/-/reload", post(reload::reload))
}

/// An answer that says no, in the shape that all of them have.
pub(super) fn refusal(status: StatusCode, why: impl Into<String>) -> Response {
    (status, Json(serde_json::json!({ "error": why.into() }))).into_response()
}

/// Lets a request through once all of it is there: whoever sends a body too slowly, or one that is too large, is told so.
async fn whole(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY_BYTES)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(head, Body::from(bytes))).await,
        Ok(Err(_)) => refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than is taken, or broke off"),
        Err(_) => refusal(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"),
    }
}

/// Nothing here is to be kept by a cache or taken for another type by a browser.
async fn careful(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
