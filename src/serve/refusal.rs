//! The one shape of every error response: a status, and JSON with an `error` in one sentence.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::store::{StoreError, WriteError};

/// An error response.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(serde_json::json!({ "error": self.message }))).into_response()
    }
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// 400
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 404
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 503, and logs why the store could not be read. The response does not repeat it.
    pub(super) fn store_unreadable(error: &StoreError) -> Self {
        tracing::warn!("an API request failed with 503, because the store could not be read: {error}");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the store could not be read; see the log")
    }

    /// 503, and logs why the store could not be written. The response does not repeat it.
    pub(super) fn store_unwritable(error: &WriteError) -> Self {
        tracing::warn!(
            reason = error.reason(),
            "an API request failed with 503, because the store could not be written: {error}"
        );
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the store could not be written; see the log")
    }
}
