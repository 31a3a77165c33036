//! An endpoint as the dispatcher sees it: how to schedule it, not how to reach it.

use std::time::Duration;

use super::decide::Policy;
use super::settings::EndpointSettings;
use crate::model::EndpointName;

/// An endpoint as the dispatcher sees it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub name: EndpointName,
    pub policy: Policy,
    /// The time limit of one attempt. A lease lasts three times as long.
    pub timeout: Duration,
    /// How many deliveries are sent at once; if `ordered`, each belongs to another conference.
    pub concurrency: u32,
    /// The most attempts that begin in a second; `None` for any number.
    pub rate: Option<f64>,
    /// Whether the events of a conference are sent one after another.
    pub ordered: bool,
    /// Whether events are sent in batches.
    pub batched: bool,
    /// The rate, in deliveries per second, at which the backlog is sent after the breaker was open.
    pub drain_per_second: f64,
}

impl Endpoint {
    /// Makes an endpoint of its settings and a policy.
    #[must_use]
    pub fn of(settings: &EndpointSettings, policy: Policy) -> Self {
        Self {
            name: settings.name.clone(),
            policy,
            timeout: settings.timeout,
            concurrency: u32::try_from(settings.concurrency).unwrap_or(u32::MAX),
            rate: settings.rate,
            ordered: settings.ordered,
            batched: settings.batching.is_some(),
            drain_per_second: settings.drain_per_second,
        }
    }
}
