//! Writes the messages of one endpoint: redacts the stored events as the endpoint asks and has its format encode them.

use std::borrow::Cow;

use super::body::{FrozenEvent, MessageBody, Unwritable};
use super::spec::{Format, Grouping};
use crate::delivery::redact::{NameRedaction, NoKey};
use crate::delivery::settings::EndpointSettings;
use crate::model::BatchId;
use crate::store::Claimed;

/// What is sent, and the id that it is sent under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub id: Box<str>,
    pub body: MessageBody,
}

/// Writes the messages of one endpoint.
#[derive(Debug, Clone)]
pub struct MessageWriter {
    format: Format,
    redaction: NameRedaction,
    batched: bool,
}

impl MessageWriter {
    /// Makes a writer for an endpoint.
    ///
    /// # Errors
    /// [`NoKey`] if names are to be replaced and the settings hold no key for it.
    pub fn new(settings: &EndpointSettings) -> Result<Self, NoKey> {
        Ok(Self {
            format: settings.format.clone(),
            redaction: NameRedaction::new(settings.names, settings.pseudonyms.as_ref(), &settings.route.kinds)?,
            batched: settings.batching.is_some(),
        })
    }

    /// Writes one event under its own id. The same event gives the same bytes at every attempt.
    ///
    /// # Errors
    /// [`Unwritable`]
    pub fn single(&self, event: &FrozenEvent<'_>) -> Result<Message, Unwritable> {
        let redacted = self.redacted(event)?;
        let body = self.format.encoder().encode(&FrozenEvent { json: &redacted, ..*event })?;
        Ok(Message { id: event.id.as_str().into(), body })
    }

    /// Writes events as one message, in their order. The same events give the same bytes at every attempt.
    ///
    /// # Errors
    /// [`Unwritable`], where any of them cannot be written.
    pub fn batch(&self, events: &[FrozenEvent<'_>]) -> Result<Message, Unwritable> {
        if self.format.grouping() == Grouping::None {
            return Err(Unwritable::NoBatches);
        }
        let id = BatchId::of(events.iter().map(|event| event.id)).as_str().into();
        let redacted = events.iter().map(|event| self.redacted(event)).collect::<Result<Vec<_>, _>>()?;
        let events: Vec<_> = events.iter().zip(&redacted).map(|(event, json)| FrozenEvent { json, ..*event }).collect();
        let body = self.format.encoder().encode_all(&events)?;
        Ok(Message { id, body })
    }

    /// Writes what a claim holds. The same claim gives the same bytes at every attempt.
    ///
    /// # Errors
    /// [`Unwritable`]
    pub fn message(&self, claimed: &Claimed) -> Result<Message, Unwritable> {
        let first =
            FrozenEvent { id: &claimed.event, event: claimed.event_type, time: claimed.time, json: &claimed.body };
        let Some(others) = &claimed.batch else { return self.single(&first) };
        let others = others.iter().map(|other| FrozenEvent {
            id: &other.event,
            event: other.event_type,
            time: other.time,
            json: &other.body,
        });
        self.batch(&[first].into_iter().chain(others).collect::<Vec<_>>())
    }

    /// Writes one event, as a batch of one where the endpoint takes batches.
    ///
    /// # Errors
    /// [`Unwritable`]
    pub fn as_configured(&self, event: &FrozenEvent<'_>) -> Result<Message, Unwritable> {
        if self.batched { self.batch(&[*event]) } else { self.single(event) }
    }

    fn redacted<'e>(&self, event: &FrozenEvent<'e>) -> Result<Cow<'e, str>, Unwritable> {
        Ok(self.redaction.apply(event.event, event.json)?)
    }
}
