//! `/api/v1/openapi.json` and `/api/v1/event.schema.json`: the OpenAPI document of this API, and the JSON Schema of an
//! event, which it refers to. Both are the files in `docs`.

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::serve::extract::NoParameters;
use crate::serve::state::ServerState;

const OPENAPI: &str = include_str!("../../../docs/openapi.json");
const EVENT_SCHEMA: &str = include_str!("../../../docs/event.schema.json");

pub(super) fn router() -> Router<Arc<ServerState>> {
    Router::new().route("/api/v1/openapi.json", get(openapi)).route("/api/v1/event.schema.json", get(event_schema))
}

async fn openapi(_: NoParameters) -> Response {
    json(OPENAPI)
}

async fn event_schema(_: NoParameters) -> Response {
    json(EVENT_SCHEMA)
}

fn json(text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
