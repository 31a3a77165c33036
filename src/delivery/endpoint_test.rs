//! Tests an endpoint: sends one signed `webhook.test`, the way any delivery is sent, and records nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::format::{FrozenEvent, test_event};
use super::http::send::{Sender, SenderError};
use super::message::{Message, MessageWriter};
use super::outcome::{Outcome, Reply};
use super::settings::EndpointSettings;
use crate::clock::Clock;
use crate::model::EndpointName;

/// Sends test events to the configured endpoints.
#[derive(Debug)]
pub struct TestSender {
    endpoints: BTreeMap<EndpointName, (Sender, MessageWriter)>,
    clock: Clock,
}

/// The result of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResult {
    /// The id that the test was sent under.
    pub id: Box<str>,
    pub took: Duration,
    pub reply: Reply,
}

/// Checks that an HTTP client can be set up for each of these endpoints. Needs nothing of the store.
///
/// # Errors
/// [`SenderError::Client`]
pub fn check_clients(endpoints: &[EndpointSettings], clock: Clock) -> Result<(), SenderError> {
    endpoints.iter().try_for_each(|settings| Sender::new(settings, clock).map(drop))
}

impl TestSender {
    /// Makes a sender for these endpoints.
    ///
    /// # Errors
    /// [`SenderError`]
    pub fn new(endpoints: &[EndpointSettings], clock: Clock) -> Result<Self, SenderError> {
        let one = |settings: &EndpointSettings| {
            Ok((settings.name.clone(), (Sender::new(settings, clock)?, MessageWriter::new(settings)?)))
        };
        Ok(Self { endpoints: endpoints.iter().map(one).collect::<Result<_, SenderError>>()?, clock })
    }

    /// Sends a test, within the endpoint's timeout. Returns `None` if there is no such endpoint.
    pub async fn test(&self, endpoint: &EndpointName) -> Option<TestResult> {
        let (sender, writer) = self.endpoints.get(endpoint)?;
        let began = self.clock.now();
        let event = test_event(endpoint.as_str(), began.wall);
        let json = serde_json::to_string(&event).ok();
        let message = json.and_then(|json| {
            let frozen = FrozenEvent { id: &event.id, event: event.event, time: event.time, json: &json };
            writer.as_configured(&frozen).ok()
        });
        let (id, reply) = match message {
            Some(Message { id, previous: _, body }) => (id.clone(), sender.send(&id, None, body).await),
            None => (event.id.as_str().into(), Outcome::Unsendable.into()),
        };
        let took = self.clock.now().mono.saturating_sub(began.mono);
        Some(TestResult { id, took, reply })
    }
}
