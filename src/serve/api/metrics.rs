//! `/metrics` in Prometheus' text format: all that is registered.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{TEXT_FORMAT, TextEncoder};

use crate::serve::refusal::Refusal;
use crate::serve::state::ServerState;

pub(crate) fn router() -> Router<Arc<ServerState>> {
    Router::new().route("/metrics", get(scrape))
}

async fn scrape(State(state): State<Arc<ServerState>>) -> Result<Response, Refusal> {
    // Bounds how many rendered scrapes are in memory at one time.
    let Ok(_permit) = state.scrapes.acquire().await else {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping"));
    };
    let registry = state.registry.clone();
    // Reads files under /proc and may take milliseconds, so it must not block a thread that polls.
    let text = tokio::task::spawn_blocking(move || TextEncoder::new().encode_to_string(&registry.gather())).await;
    match text {
        Ok(Ok(text)) => Ok(([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response()),
        Ok(Err(error)) => {
            tracing::error!(%error, "a scrape failed with 500, because the metrics could not be encoded; please report this");
            Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be encoded; see the log"))
        }
        Err(_) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be collected")),
    }
}
