//! An endpoint as the dispatcher sees it.

use std::time::Duration;

use super::decide::Policy;
use super::settings::EndpointSettings;
use crate::model::EndpointName;

/// What the dispatcher has to know of an endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub name: EndpointName,
    pub policy: Policy,
    /// How long one attempt may take. A claim holds for three times as long.
    pub timeout: Duration,
    /// How many deliveries, each of another conference if `ordered`, are sent at once.
    pub concurrency: usize,
    /// Whether the events of a conference are sent one after another.
    pub ordered: bool,
    /// Whether what is sent is batches.
    pub batched: bool,
    /// After trouble, so many are sent in a second until nothing is due any more.
    pub drain_per_second: f64,
}

impl Endpoint {
    /// What an operator set, under a policy.
    #[must_use]
    pub fn of(settings: &EndpointSettings, policy: Policy) -> Self {
        Self {
            name: settings.name.clone(),
            policy,
            timeout: settings.timeout,
            concurrency: settings.concurrency,
            ordered: settings.ordered,
            batched: settings.batching.is_some(),
            drain_per_second: settings.drain_per_second,
        }
    }
}
