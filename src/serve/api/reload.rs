//! `POST /-/reload`: reads the configuration again, as SIGHUP does.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;

use crate::serve::extract::{NoParameters, no_body};
use crate::serve::refusal::Refusal;
use crate::serve::reload::NotReloaded;
use crate::serve::state::ServerState;

pub(super) fn router() -> Router<Arc<ServerState>> {
    Router::new().route("/-/reload", post(reload))
}

/// The response to a reload that succeeded.
#[derive(Debug, Serialize)]
struct Reloaded {
    reloaded: bool,
    warnings: Vec<String>,
}

async fn reload(
    State(state): State<Arc<ServerState>>,
    _: NoParameters,
    body: Bytes,
) -> Result<Json<Reloaded>, Refusal> {
    no_body(&body)?;
    match state.reload.reload().await {
        Ok(warnings) => Ok(Json(Reloaded { reloaded: true, warnings })),
        Err(NotReloaded::Refused(message)) => Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, message)),
        Err(NotReloaded::Unavailable(message)) => Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message)),
    }
}
