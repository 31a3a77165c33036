//! HTTP: health, metrics, and the API. Reads the status board, the metrics and the store; changes nothing but what is owed
//! to endpoints, and that only where an operator asks.
//!
//! A connection is accepted if there is room (`server`), its request goes through the guard (`guard`) to its route
//! (`routes`), and the answer is made fresh.

mod ask;
mod attendance;
mod board;
mod conferences;
mod deliveries;
pub mod desk;
mod endpoints;
mod guard;
mod health;
pub mod metrics;
mod routes;
mod server;
pub mod settings;
mod status;
pub mod token;

pub use desk::{Desk, EndpointCard, TestReport, Tester};
pub use health::Readiness;
pub use routes::Exposed;
pub use server::{BindError, Server};
pub use settings::{Expose, ServerSettings};
pub use token::TokenError;
