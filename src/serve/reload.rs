//! `POST /-/reload`: reads the configuration again, as SIGHUP does.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::ask::{NoParameters, Refusal, nothing_said};
use super::front::NotReloaded;
use super::routes::Shared;

/// What came of it.
#[derive(Debug, Serialize)]
pub(super) struct Reloaded {
    reloaded: bool,
    warnings: Vec<String>,
}

pub(super) async fn reload(
    State(shared): State<Arc<Shared>>,
    _: NoParameters,
    body: Bytes,
) -> Result<Json<Reloaded>, Refusal> {
    nothing_said(&body)?;
    match shared.reload.reload().await {
        Ok(warnings) => Ok(Json(Reloaded { reloaded: true, warnings })),
        Err(NotReloaded::Refused(why)) => Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, why)),
        Err(NotReloaded::Unavailable(why)) => Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why)),
    }
}
