//! HTTP: health, metrics, and the API. Reads the status board, the metrics and the store; changes nothing but what is owed
//! to endpoints, and has the configuration read again, and that only where an operator asks.
//!
//! A connection is accepted if there is room (`server`), its request goes through the guard (`guard`) to its route
//! (`routes`), and the answer is made fresh.

mod ask;
mod attendance;
mod board;
mod conferences;
mod deliveries;
mod describe;
pub mod desk;
mod endpoints;
pub mod forget;
mod front;
mod guard;
mod health;
pub mod keys;
pub mod listen;
pub mod metrics;
mod reload;
mod room;
mod routes;
mod server;
pub mod settings;
mod status;
pub mod tls;
pub mod token;

pub use desk::{Desk, EndpointCard, TestReport, Tester};
pub use front::{Front, Fronts, NotReloaded, Reload};
pub use health::Readiness;
pub use listen::{BindError, Inherited, Listen};
pub use routes::Exposed;
pub use server::Server;
pub use settings::{Expose, Keys, ServerSettings};
pub use tls::BadServerTls;
pub use token::TokenError;
