//! Trying an endpoint: one signed `webhook.test`, sent as any delivery is and kept nowhere.

use std::collections::BTreeMap;
use std::time::Duration;

use super::format::{Message, Writer, Written, test_event};
use super::outcome::{Outcome, Reason, Reply};
use super::send::{Sender, SenderError};
use super::settings::EndpointSettings;
use crate::clock::Clock;
use crate::model::EndpointName;

/// Tries the configured endpoints.
#[derive(Debug)]
pub struct Probe {
    endpoints: BTreeMap<EndpointName, (Sender, Writer)>,
    clock: Clock,
}

/// What a test brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// What it was sent under.
    pub id: Box<str>,
    pub took: Duration,
    pub reply: Reply,
}

impl Probe {
    /// A probe of these endpoints.
    ///
    /// # Errors
    /// [`SenderError`]
    pub fn new(endpoints: &[EndpointSettings], clock: Clock) -> Result<Self, SenderError> {
        let one = |settings: &EndpointSettings| {
            Ok((settings.name.clone(), (Sender::new(settings, clock)?, Writer::new(settings)?)))
        };
        Ok(Self { endpoints: endpoints.iter().map(one).collect::<Result<_, SenderError>>()?, clock })
    }

    /// Sends a test, within the endpoint's timeout; `None` where there is no such endpoint.
    pub async fn test(&self, endpoint: &EndpointName) -> Option<Probed> {
        let (sender, writer) = self.endpoints.get(endpoint)?;
        let began = self.clock.now();
        let event = test_event(endpoint.as_str(), began.wall);
        let written = serde_json::to_string(&event).ok();
        let message = written.and_then(|frozen| {
            let written = Written { id: &event.id, event: event.event, time: event.time, frozen: &frozen };
            writer.as_configured(&written).ok()
        });
        let (id, reply) = match message {
            Some(Message { id, body }) => (id.clone(), sender.send(&id, None, body).await),
            None => (event.id.as_str().into(), Outcome::Failed { reason: Reason::Unsendable, status: None }.into()),
        };
        let took = self.clock.now().mono.saturating_sub(began.mono);
        Some(Probed { id, took, reply })
    }
}
