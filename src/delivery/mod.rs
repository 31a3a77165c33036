//! Delivers committed events to the configured endpoints.
//!
//! A commit wakes the [`Dispatcher`]. Its [`step`] claims due deliveries from the store, [`message`] redacts and formats each,
//! [`http`] sends it, [`decide`] turns the [`Outcome`] into a retry or an end, and the next round with the store records that.
//! Three things are kept apart: policy (the files of this folder), formats ([`mod@format`]) and transport ([`http`]).

pub mod breaker;
pub mod decide;
pub mod dispatch;
pub mod endpoint;
pub mod endpoint_test;
pub mod format;
pub mod http;
pub mod message;
pub mod metrics;
pub mod names;
pub mod outcome;
pub mod pace;
pub mod pseudonym_key;
pub mod reason;
pub mod reconfigure;
pub mod redact;
pub mod report;
pub mod settings;
pub mod step;

mod endpoint_health;
mod fault;
mod learned_limits;
mod queue;
mod ready;
mod told;

pub use decide::Policy;
pub use dispatch::{Dispatcher, DispatcherOptions};
pub use endpoint::Endpoint;
pub use endpoint_test::{TestResult, TestSender, check_clients};
pub use format::{FORMATS, Format, FormatOptions, FormatSpec, Grouping, Signing};
pub use http::send::SenderError;
pub use http::sign;
pub use learned_limits::LearnedLimits;
pub use message::{Message, MessageWriter};
pub use metrics::WebhookMetrics;
pub use names::Names;
pub use outcome::{Outcome, Reply, TransportFailure};
pub use pseudonym_key::KeyError;
pub use reason::FailureReason;
pub use reconfigure::{EndpointSet, ReconfigureHandle};
pub use settings::EndpointSettings;
