//! The handlers, one noun per file. Each file has a `router()` with its paths.
//!
//! To add a noun, add its file, declare it below, and merge it in [`router`]. [`health`] and [`metrics`] are not merged
//! there: other keys open them.

mod attendance;
mod conferences;
mod deliveries;
mod descriptions;
mod endpoints;
mod events;
mod forget;
pub(super) mod health;
mod identities;
pub(super) mod metrics;
mod reload;
mod status;

use std::sync::Arc;

use axum::Router;

use super::state::ServerState;

/// The paths that need a key of the API: they show people, or change something.
pub(super) fn router() -> Router<Arc<ServerState>> {
    Router::new()
        .merge(attendance::router())
        .merge(conferences::router())
        .merge(deliveries::router())
        .merge(descriptions::router())
        .merge(endpoints::router())
        .merge(events::router())
        .merge(forget::router())
        .merge(reload::router())
        .merge(status::router())
}
