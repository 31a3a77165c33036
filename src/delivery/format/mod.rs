//! How a delivery's body is written: the frozen event, redacted as its endpoint asks, in the endpoint's format.

mod chat;
mod chat_text;
mod cloudevents;
mod sample;
mod sentence;
mod standard;
mod template;

use jiff::Timestamp;

pub use chat::Chat;
pub use chat_text::harmless;
pub use sample::{samples, test_event};
pub use sentence::Sentence;
pub use template::{BadTemplate, MAX_OUTPUT_BYTES, MAX_TEMPLATE_BYTES, Template};

use super::redact::{NoKey, Redaction};
use super::settings::{EndpointSettings, Format};
use crate::model::{BatchId, Event, EventId, EventType};
use crate::store::Claimed;

/// A body, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    pub content_type: &'static str,
    pub bytes: Vec<u8>,
}

/// An event that is to be written.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    pub id: &'a EventId,
    pub event: EventType,
    /// When it happened.
    pub time: Timestamp,
    /// Its JSON as it was committed.
    pub frozen: &'a str,
}

/// What is sent, and the id under which it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub id: Box<str>,
    pub body: Body,
}

/// Why an event has no body in a format. Never repeats the event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    #[error("the stored event cannot be read")]
    NotAnEvent,
    #[error(transparent)]
    Template(#[from] BadTemplate),
    /// The configuration asks for none.
    #[error("a template writes one event at a time")]
    NoBatches,
}

impl From<serde_json::Error> for Unwritable {
    // Its text could quote the event.
    fn from(_: serde_json::Error) -> Self {
        Self::NotAnEvent
    }
}

/// Writes bodies for one endpoint.
#[derive(Debug, Clone)]
pub struct Writer {
    format: Format,
    redaction: Redaction,
    batched: bool,
}

impl Writer {
    /// A writer for an endpoint.
    ///
    /// # Errors
    /// [`NoKey`] where names are to be replaced and the settings carry no key to do it with.
    pub fn new(settings: &EndpointSettings) -> Result<Self, NoKey> {
        Ok(Self {
            format: settings.format.clone(),
            redaction: Redaction::new(settings)?,
            batched: settings.batching.is_some(),
        })
    }

    /// Writes an event. The same event gives the same bytes at every attempt.
    ///
    /// # Errors
    /// [`Unwritable`]
    pub fn write(&self, event: EventType, time: Timestamp, frozen: &str) -> Result<Body, Unwritable> {
        let redacted = self.redaction.apply(event, frozen)?;
        let frozen = redacted.as_ref();
        let parsed = || serde_json::from_str::<Event>(frozen);
        match &self.format {
            Format::Standard => Ok(standard::write(event, time, frozen)?),
            Format::CloudEvents => Ok(cloudevents::write(&parsed()?, frozen)?),
            Format::Slack(chat) => Ok(chat.slack(&[parsed()?])?),
            Format::GoogleChat(chat) => Ok(chat.google_chat(&[parsed()?])?),
            Format::Template(template) => Ok(template.write(&parsed()?)?),
        }
    }

    /// An event on its own, under its own id.
    ///
    /// # Errors
    /// [`Unwritable`]
    pub fn alone(&self, written: &Written<'_>) -> Result<Message, Unwritable> {
        let body = self.write(written.event, written.time, written.frozen)?;
        Ok(Message { id: written.id.as_str().into(), body })
    }

    /// Events in one message, in their order. The same events give the same bytes at every attempt.
    ///
    /// # Errors
    /// [`Unwritable`], where any of them cannot be written.
    pub fn batch(&self, all: &[Written<'_>]) -> Result<Message, Unwritable> {
        let id = BatchId::of(all.iter().map(|written| written.id)).as_str().into();
        let body = match &self.format {
            Format::Standard => self.array(all, "application/json")?,
            Format::CloudEvents => self.array(all, "application/cloudevents-batch+json")?,
            Format::Slack(chat) => chat.slack(&self.redacted(all)?)?,
            Format::GoogleChat(chat) => chat.google_chat(&self.redacted(all)?)?,
            Format::Template(_) => return Err(Unwritable::NoBatches),
        };
        Ok(Message { id, body })
    }

    /// What a claim is sent as. The same one gives the same bytes at every attempt.
    ///
    /// # Errors
    /// [`Unwritable`]
    pub fn message(&self, claimed: &Claimed) -> Result<Message, Unwritable> {
        let first =
            Written { id: &claimed.event, event: claimed.event_type, time: claimed.time, frozen: &claimed.body };
        let Some(others) = &claimed.batch else { return self.alone(&first) };
        let others = others.iter().map(|other| Written {
            id: &other.event,
            event: other.event_type,
            time: other.time,
            frozen: &other.body,
        });
        self.batch(&[first].into_iter().chain(others).collect::<Vec<_>>())
    }

    /// An event on its own, in a batch of one where the endpoint takes batches.
    ///
    /// # Errors
    /// [`Unwritable`]
    pub fn as_configured(&self, written: &Written<'_>) -> Result<Message, Unwritable> {
        if self.batched { self.batch(&[*written]) } else { self.alone(written) }
    }

    fn array(&self, all: &[Written<'_>], content_type: &'static str) -> Result<Body, Unwritable> {
        let mut bytes = vec![b'['];
        for written in all {
            if bytes.len() > 1 {
                bytes.push(b',');
            }
            bytes.extend(self.write(written.event, written.time, written.frozen)?.bytes);
        }
        bytes.push(b']');
        Ok(Body { content_type, bytes })
    }

    fn redacted(&self, all: &[Written<'_>]) -> Result<Vec<Event>, Unwritable> {
        let one = |written: &Written<'_>| {
            let redacted = self.redaction.apply(written.event, written.frozen)?;
            Ok(serde_json::from_str(redacted.as_ref())?)
        };
        all.iter().map(one).collect()
    }
}
