//! Deliveries: format, sign, send, decide, record. Reads what it owes from the store and knows nothing of watching.
//!
//! A commit wakes the [`Dispatcher`]. Its [`step`] asks the store for what is due, the dispatcher sends it, [`decide`] says
//! what becomes of it, and that goes back to the store in the round that asks for more.

pub mod answer;
pub mod breaker;
pub mod change;
pub mod decide;
pub mod dispatch;
pub mod format;
pub mod guard;
pub mod headers;
pub mod metrics;
pub mod outcome;
pub mod pace;
pub mod probe;
pub mod pseudonym_key;
pub mod redact;
pub mod send;
pub mod settings;
pub mod sign;
pub mod step;
pub mod tls;

mod endpoint;
mod queue;
mod ready;

pub use change::{Changes, Endpoints};
pub use decide::Policy;
pub use dispatch::{Dispatcher, Options};
pub use metrics::WebhookMetrics;
pub use outcome::{Blame, Outcome, Reason, Reply};
pub use probe::{Probe, Probed};
pub use pseudonym_key::KeyError;
pub use send::SenderError;
pub use settings::{EndpointSettings, Format, Names};
