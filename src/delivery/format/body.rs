//! Events as they are stored, and the bodies that formats make of them.

use jiff::Timestamp;

use crate::model::{Event, EventId, EventType};

/// An event as it was committed: its JSON never changes afterwards.
#[derive(Debug, Clone, Copy)]
pub struct FrozenEvent<'a> {
    pub id: &'a EventId,
    pub event: EventType,
    /// When it happened.
    pub time: Timestamp,
    pub json: &'a str,
}

/// A body with its content type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageBody {
    pub content_type: &'static str,
    pub bytes: Vec<u8>,
}

/// Why an event has no body in a format. Never repeats the event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    #[error("the stored event cannot be read")]
    NotAnEvent,
    /// The format failed, for this reason.
    #[error("{0}")]
    Failed(String),
    #[error("this format writes one event at a time")]
    NoBatches,
}

impl From<serde_json::Error> for Unwritable {
    // The error's text could quote the event.
    fn from(_: serde_json::Error) -> Self {
        Self::NotAnEvent
    }
}

impl FrozenEvent<'_> {
    /// Parses the JSON.
    pub(super) fn parse(&self) -> Result<Event, Unwritable> {
        Ok(serde_json::from_str(self.json)?)
    }
}

impl MessageBody {
    /// Returns a JSON array of these bodies.
    pub(super) fn json_array(
        content_type: &'static str,
        bodies: impl Iterator<Item = Result<Self, Unwritable>>,
    ) -> Result<Self, Unwritable> {
        let mut bytes = vec![b'['];
        for body in bodies {
            if bytes.len() > 1 {
                bytes.push(b',');
            }
            bytes.extend(body?.bytes);
        }
        bytes.push(b']');
        Ok(Self { content_type, bytes })
    }
}
