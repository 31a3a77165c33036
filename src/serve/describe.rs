//! `/api/v1/openapi.json`: what all of this answers, as an OpenAPI document, and the JSON Schema of the event beside it, which
//! it refers to. Both are the files that the documentation has.

use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::ask::NoParameters;

const OPENAPI: &str = include_str!("../../docs/openapi.json");
const EVENT: &str = include_str!("../../docs/event.schema.json");

pub(super) async fn openapi(_: NoParameters) -> Response {
    json(OPENAPI)
}

pub(super) async fn event(_: NoParameters) -> Response {
    json(EVENT)
}

fn json(text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
