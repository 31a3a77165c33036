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
use crate::model::{Event, EventType};

/// A body, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    pub content_type: &'static str,
    pub bytes: Vec<u8>,
}

/// Why an event has no body in a format. Never repeats the event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    #[error("the stored event cannot be read")]
    NotAnEvent,
    #[error(transparent)]
    Template(#[from] BadTemplate),
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
}

impl Writer {
    /// A writer for an endpoint.
    ///
    /// # Errors
    /// [`NoKey`] where names are to be replaced and the settings carry no key to do it with.
    pub fn new(settings: &EndpointSettings) -> Result<Self, NoKey> {
        Ok(Self { format: settings.format.clone(), redaction: Redaction::new(settings)? })
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
            Format::Slack(chat) => Ok(chat.slack(&parsed()?)?),
            Format::GoogleChat(chat) => Ok(chat.google_chat(&parsed()?)?),
            Format::Template(template) => Ok(template.write(&parsed()?)?),
        }
    }
}
