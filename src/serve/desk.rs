//! What the API needs to show and mend deliveries: handed over by whoever puts the daemon together.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::clock::Clock;
use crate::model::EndpointName;
use crate::store::Store;

/// The store and the clock.
#[derive(Debug, Clone)]
pub struct Desk {
    pub store: Store,
    pub clock: Clock,
}

/// What may be shown of a configured endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointCard {
    pub name: EndpointName,
    /// Without path and query, which may hold a secret.
    pub address: String,
    pub format: &'static str,
    /// How much it learns of people.
    pub names: &'static str,
}

/// Sends a test to an endpoint.
pub trait Tester: Send + Sync {
    /// Sends a signed `webhook.test` and says what came back; `None` where there is no such endpoint.
    fn test(&self, endpoint: EndpointName) -> Pin<Box<dyn Future<Output = Option<TestReport>> + Send>>;
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestReport {
    /// The id it was sent with.
    pub id: String,
    pub took: Duration,
    /// The answer's status, if there was one.
    pub status: Option<u16>,
    /// Why it failed; `None` for a success.
    pub reason: Option<&'static str>,
    /// How the answer begins. A stranger wrote it.
    pub answer: Option<Box<str>>,
}
