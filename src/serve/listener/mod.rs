//! Accepts connections and serves HTTP on them.
//!
//! [`bind`] opens the socket that [`listen`] describes. [`server`] accepts a connection once it has one of the
//! [`connection_slots`], and [`connection`] serves its requests, through [`tls`] if that is configured.

mod bind;
mod connection;
mod connection_slots;
pub(super) mod listen;
mod server;
pub(super) mod tls;

pub use bind::BindError;
pub(super) use connection::PeerAddress;
pub use server::{BoundSocket, Server};
