//! Middleware that lets a request pass if it presents a key for its group of paths, or if the group is open.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::authenticator::{AuthDecision, PresentedKey};
use super::keys::Keys;
use super::single_header::single_header;
use crate::serve::listener::PeerAddress;
use crate::serve::refusal::Refusal;
use crate::serve::state::ServerState;

/// Lets a request to the API pass if it presents a key for the API.
pub(crate) async fn api(State(state): State<Arc<ServerState>>, request: Request, next: Next) -> Response {
    let config = state.live_config.current();
    require_key(&state, &[&config.all, &config.api], request, next).await
}

/// Lets a request for metrics pass if they are open, or if it presents a key for them.
pub(crate) async fn metrics(State(state): State<Arc<ServerState>>, request: Request, next: Next) -> Response {
    let config = state.live_config.current();
    if config.open.metrics {
        return next.run(request).await;
    }
    require_key(&state, &[&config.all, &config.metrics], request, next).await
}

/// Lets a request for health pass if it is open, or if it presents any key.
pub(crate) async fn health(State(state): State<Arc<ServerState>>, request: Request, next: Next) -> Response {
    let config = state.live_config.current();
    if config.open.health {
        return next.run(request).await;
    }
    require_key(&state, &[&config.all, &config.metrics, &config.api], request, next).await
}

async fn require_key(state: &ServerState, keys: &[&Keys], request: Request, next: Next) -> Response {
    let presented = single_header(request.headers(), &header::AUTHORIZATION)
        .and_then(|value| PresentedKey::parse(value.to_str().ok()?));
    let address = request.extensions().get::<PeerAddress>().and_then(|peer| peer.0);
    let decision = match presented {
        Some(presented) => state.authenticator.check(&presented, address, keys).await,
        None => AuthDecision::Denied,
    };
    match decision {
        AuthDecision::Granted => next.run(request).await,
        AuthDecision::Busy => {
            let message = "too many password checks are waiting; retry later";
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, message).into_response()
        }
        AuthDecision::Denied => unauthorized(keys),
    }
}

/// 401 with a challenge for each scheme that these keys have.
fn unauthorized(keys: &[&Keys]) -> Response {
    let message = "authentication required: send the token as `Authorization: Bearer TOKEN`";
    let mut response = Refusal::new(StatusCode::UNAUTHORIZED, message).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"meetwatch\""));
    if keys.iter().any(|keys| !keys.users.is_empty()) {
        response.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"meetwatch\""));
    }
    response
}
