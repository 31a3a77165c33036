//! Reads the body of a request before its handler runs, within bounds of size and time.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::time::timeout;

use super::refusal::Refusal;

/// The largest body of a request, in bytes.
const MAX_BODY_BYTES: usize = 16 << 10;

/// How long the body of a request may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// Passes a request on once its body has arrived completely. Answers 413 or 408 otherwise.
pub(super) async fn read_body(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let refusal = match timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY_BYTES)).await {
        Ok(Ok(bytes)) => return next.run(Request::from_parts(head, Body::from(bytes))).await,
        Ok(Err(_)) => {
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "the request body is larger than 16 KiB or was cut off")
        }
        Err(_) => Refusal::new(StatusCode::REQUEST_TIMEOUT, "the request body did not arrive within 20 seconds"),
    };
    refusal.into_response()
}
