//! The HTTP server: health, metrics, and the API.
//!
//! The `listener` accepts a connection once it has a slot for it. The request then passes the checks in `auth` and
//! reaches its handler in `api`; `router` puts these together. Handlers share one `state`: the store, the status
//! board, the metrics registry, and the `live_config` that a reload replaces. No response is cached.
//!
//! The server reads. It writes only where an operator asks for it: replaying deliveries, switching, testing and removing
//! endpoints, erasing a person, and reloading the configuration.

mod api;
mod auth;
mod body_limit;
mod configured_endpoint;
mod extract;
mod listener;
mod live_config;
pub mod metrics;
mod names;
mod readiness;
mod refusal;
mod reload;
mod router;
pub mod settings;
mod state;

pub use auth::token;
pub use configured_endpoint::{EndpointDescription, EndpointLimits, EndpointTester, TestReport};
pub use listener::{BindError, BoundSocket, Server};
pub use live_config::{LiveConfig, LiveConfigCell};
pub use readiness::Readiness;
pub use reload::{NotReloaded, Reload};
pub use settings::{BadServerTls, Expose, Inherited, Keys, Listen, ServerSettings};
pub use state::{ApiContext, ServerParts};
pub use token::TokenError;
