//! HTTP: health, metrics, and what the API shows. Reads the status board and the metrics; changes nothing.
//!
//! A connection is accepted if there is room (`server`), its request goes through the guard (`guard`) to its route
//! (`routes`), and the answer is made fresh.

mod board;
mod guard;
mod health;
pub mod metrics;
mod routes;
mod server;
pub mod settings;
mod status;
pub mod token;

pub use health::Readiness;
pub use routes::Exposed;
pub use server::{BindError, Server};
pub use settings::{Expose, ServerSettings};
pub use token::TokenError;
