//! Parses the body of a response from bytes into the model in one step, so that anything wrong with it is one failure that
//! is counted once.

use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::parse::{FromWire, Unreadable};
use super::tolerant::{self, Shape};
use super::unreadable::UnreadableFields;
use super::wire;
use crate::model::{Conference, Participant, Session, Space};

/// A type that a response body is parsed into.
pub trait ResponseBody: Sized {
    /// Parses a body that is what the API documents, as nearly every body is.
    ///
    /// # Errors
    /// [`UnreadableBody`]
    fn strict(bytes: &[u8]) -> Result<ParsedBody<Self>, UnreadableBody>;

    /// Parses what can be read of a body that is not.
    fn tolerant(bytes: &[u8]) -> Option<ParsedBody<Self>>;

    /// Returns what a body without a single byte may mean.
    #[must_use]
    fn blank() -> Option<Self> {
        None
    }

    /// Parses a whole body, as far as it can be read.
    ///
    /// # Errors
    /// [`UnreadableBody`]
    fn parse(bytes: &[u8]) -> Result<ParsedBody<Self>, UnreadableBody> {
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        if let (None, Some(value)) = (first, Self::blank()) {
            return Ok(ParsedBody { value, unreadable: UnreadableFields::default(), blank: true });
        }
        if first == Some(&b'[') {
            return Err(UnreadableBody::OtherObject);
        }
        match Self::strict(bytes) {
            Err(UnreadableBody::Json(error)) => Self::tolerant(bytes).ok_or(UnreadableBody::Json(error)),
            other => other,
        }
    }
}

/// A body that was parsed, and what of it could not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedBody<T> {
    pub value: T,
    pub unreadable: UnreadableFields,
    /// Whether the body was empty. Google sends `{}` for an empty list, so an empty body proves nothing.
    pub blank: bool,
}

impl<T> ParsedBody<T> {
    pub(super) const fn new(value: T, unreadable: UnreadableFields) -> Self {
        Self { value, unreadable, blank: false }
    }
}

/// Why a body could not be parsed.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableBody {
    #[error("the response body is not the expected JSON")]
    Json(#[from] serde_json::Error),
    #[error("the response has an {0}")]
    Content(#[from] Unreadable),
    #[error("the response is another object than the one that was asked for")]
    OtherObject,
}

impl ResponseBody for Conference {
    fn strict(bytes: &[u8]) -> Result<ParsedBody<Self>, UnreadableBody> {
        strict_as::<wire::ConferenceRecord, _>(bytes)
    }

    fn tolerant(bytes: &[u8]) -> Option<ParsedBody<Self>> {
        tolerant_as::<wire::ConferenceRecord, _>(bytes)
    }
}

impl ResponseBody for Participant {
    fn strict(bytes: &[u8]) -> Result<ParsedBody<Self>, UnreadableBody> {
        strict_as::<wire::Participant, _>(bytes)
    }

    fn tolerant(bytes: &[u8]) -> Option<ParsedBody<Self>> {
        tolerant_as::<wire::Participant, _>(bytes)
    }
}

impl ResponseBody for Session {
    fn strict(bytes: &[u8]) -> Result<ParsedBody<Self>, UnreadableBody> {
        strict_as::<wire::ParticipantSession, _>(bytes)
    }

    fn tolerant(bytes: &[u8]) -> Option<ParsedBody<Self>> {
        tolerant_as::<wire::ParticipantSession, _>(bytes)
    }
}

impl ResponseBody for Space {
    fn strict(bytes: &[u8]) -> Result<ParsedBody<Self>, UnreadableBody> {
        strict_as::<wire::Space, _>(bytes)
    }

    fn tolerant(bytes: &[u8]) -> Option<ParsedBody<Self>> {
        tolerant_as::<wire::Space, _>(bytes)
    }
}

impl ResponseBody for wire::Person {
    fn strict(bytes: &[u8]) -> Result<ParsedBody<Self>, UnreadableBody> {
        Ok(ParsedBody::new(serde_json::from_slice(bytes)?, UnreadableFields::default()))
    }

    fn tolerant(_: &[u8]) -> Option<ParsedBody<Self>> {
        None
    }
}

impl ResponseBody for wire::GetPeopleResponse {
    fn strict(bytes: &[u8]) -> Result<ParsedBody<Self>, UnreadableBody> {
        Ok(ParsedBody::new(serde_json::from_slice(bytes)?, UnreadableFields::default()))
    }

    fn tolerant(bytes: &[u8]) -> Option<ParsedBody<Self>> {
        let mut unreadable = UnreadableFields::default();
        let responses = tolerant::whole_items(bytes, "responses", &mut unreadable)?;
        Some(ParsedBody::new(Self { responses }, unreadable))
    }
}

fn strict_as<W: DeserializeOwned, T: FromWire<W>>(bytes: &[u8]) -> Result<ParsedBody<T>, UnreadableBody> {
    let mut unreadable = UnreadableFields::default();
    let value = T::from_wire(serde_json::from_slice::<W>(bytes)?, &mut unreadable)?;
    Ok(ParsedBody::new(value, unreadable))
}

fn tolerant_as<W: Shape, T: FromWire<W>>(bytes: &[u8]) -> Option<ParsedBody<T>> {
    let mut unreadable = UnreadableFields::default();
    let value = T::from_wire(tolerant::resource::<W>(bytes, &mut unreadable)?, &mut unreadable).ok()?;
    Some(ParsedBody::new(value, unreadable))
}

impl UnreadableBody {
    /// Says what is wrong and where, without quoting the body.
    pub(super) fn into_failure(self, is_html: bool) -> Failure {
        match self {
            _ if is_html => Failure::malformed("the response is HTML instead of JSON"),
            Self::OtherObject => Failure::malformed("the response is another object than the one that was asked for"),
            Self::Content(unreadable) => Failure::malformed(format!("the response has an {unreadable}")),
            Self::Json(error) => {
                let what = match error.classify() {
                    serde_json::error::Category::Eof => "the JSON is cut off",
                    serde_json::error::Category::Data => "the JSON has another structure than documented",
                    _ => "the response is not JSON",
                };
                Failure::malformed(format!("{what}, at line {} column {}", error.line(), error.column()))
            }
        }
    }
}
