//! What the API shows of a configured endpoint, and the interface through which it tests one.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::model::EndpointName;

/// The part of an endpoint's settings that may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointDescription {
    pub name: EndpointName,
    /// The URL without path and query, which may hold a secret.
    pub address: String,
    pub format: &'static str,
    /// How names of people are redacted for it.
    pub names: &'static str,
}

/// Knows how much the endpoints take.
pub trait EndpointLimits: Send + Sync {
    /// Returns the rate to which deliveries slowed down because the endpoint was busy; `None` if it takes all of them.
    fn limited_per_second(&self, endpoint: &EndpointName) -> Option<f64>;
}

/// Sends test deliveries.
pub trait EndpointTester: Send + Sync {
    /// Sends a signed `webhook.test` and returns the result, or `None` if no such endpoint is configured.
    fn test(&self, endpoint: EndpointName) -> Pin<Box<dyn Future<Output = Option<TestReport>> + Send>>;
}

/// The result of a test delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestReport {
    /// The event id that was sent.
    pub id: String,
    pub took: Duration,
    /// The status of the response, if there was one.
    pub status: Option<u16>,
    /// Why the delivery failed; `None` if it succeeded.
    pub reason: Option<&'static str>,
    /// The beginning of the response body. Untrusted.
    pub answer: Option<Box<str>>,
}
