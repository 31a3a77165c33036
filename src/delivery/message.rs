//! Writes the messages of one endpoint: redacts the stored events as the endpoint asks and has its format encode them.

use super::format::{Format, FrozenEvent, Grouping, MessageBody, Unwritable};
use super::redact::{NameRedaction, NoKey};
use super::settings::EndpointSettings;
use crate::model::{BatchId, EventId};
use crate::store::Claimed;

/// What is sent, and the ids that it is sent with: where the endpoint hides names, they are keyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub id: Box<str>,
    /// The event of the same conference that the endpoint had a delivery for before.
    pub previous: Option<EventId>,
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
        let (id, json) = (self.redaction.id(event.id), self.redaction.apply(event.event, event.json)?);
        let body = self.format.encoder().encode(&FrozenEvent { id: &id, json: &json, ..*event })?;
        Ok(Message { id: id.as_str().into(), previous: None, body })
    }

    /// Writes events as one message, in their order. The same events give the same bytes at every attempt.
    ///
    /// # Errors
    /// [`Unwritable`], where any of them cannot be written.
    pub fn batch(&self, events: &[FrozenEvent<'_>]) -> Result<Message, Unwritable> {
        if self.format.grouping() == Grouping::None {
            return Err(Unwritable::NoBatches);
        }
        let redacted = |event: &FrozenEvent<'_>| {
            Ok::<_, Unwritable>((
                self.redaction.id(event.id).into_owned(),
                self.redaction.apply(event.event, event.json)?.into_owned(),
            ))
        };
        let redacted = events.iter().map(redacted).collect::<Result<Vec<_>, _>>()?;
        let events: Vec<_> =
            events.iter().zip(&redacted).map(|(event, (id, json))| FrozenEvent { id, json, ..*event }).collect();
        let id = BatchId::of(events.iter().map(|event| event.id)).as_str().into();
        let body = self.format.encoder().encode_all(&events)?;
        Ok(Message { id, previous: None, body })
    }

    /// Writes what a claim holds. The same claim gives the same bytes at every attempt.
    ///
    /// # Errors
    /// [`Unwritable`]
    pub fn message(&self, claimed: &Claimed) -> Result<Message, Unwritable> {
        let first =
            FrozenEvent { id: &claimed.event, event: claimed.event_type, time: claimed.time, json: &claimed.body };
        let previous = claimed.previous.as_ref().map(|id| self.redaction.id(id).into_owned());
        let Some(others) = &claimed.batch else { return Ok(Message { previous, ..self.single(&first)? }) };
        let others = others.iter().map(|other| FrozenEvent {
            id: &other.event,
            event: other.event_type,
            time: other.time,
            json: &other.body,
        });
        let message = self.batch(&[first].into_iter().chain(others).collect::<Vec<_>>())?;
        Ok(Message { previous, ..message })
    }

    /// Writes one event, as a batch of one where the endpoint takes batches.
    ///
    /// # Errors
    /// [`Unwritable`]
    pub fn as_configured(&self, event: &FrozenEvent<'_>) -> Result<Message, Unwritable> {
        if self.batched { self.batch(&[*event]) } else { self.single(event) }
    }
}
