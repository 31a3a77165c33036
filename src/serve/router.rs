//! Puts the server together: each group of paths with the checks that a request passes before its handler runs.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;

use super::api;
use super::auth::{browser_guard, key_guard};
use super::body_limit;
use super::refusal::Refusal;
use super::state::{ServerParts, ServerState};

/// All paths of the server.
pub(super) fn router(parts: ServerParts) -> Router {
    let state = Arc::new(ServerState::new(parts));
    let metrics = api::metrics::router().route_layer(from_fn_with_state(state.clone(), key_guard::metrics));
    let health = api::health::router().route_layer(from_fn_with_state(state.clone(), key_guard::health));
    // The last layer runs first.
    let api = api::router()
        .route_layer(from_fn(body_limit::read_body))
        .route_layer(from_fn_with_state(state.clone(), key_guard::api))
        .route_layer(from_fn_with_state(state.clone(), browser_guard::browser));
    Router::new()
        .merge(metrics)
        .merge(health)
        .merge(api)
        .fallback(|| async { Refusal::new(StatusCode::NOT_FOUND, "no such path") })
        .method_not_allowed_fallback(|| async {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not support this method; see `Allow`")
        })
        .layer(from_fn(protective_headers))
        .with_state(state)
}

/// Keeps caches from storing a response, and browsers from guessing another type for it.
async fn protective_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
