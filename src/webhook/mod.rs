//! Deliveries: format, sign, send, decide, record. Reads what it owes from the store and knows nothing of watching.

pub mod settings;
pub mod sign;

pub use settings::{EndpointSettings, Format};
