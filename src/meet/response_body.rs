//! Parses the body of a response from bytes into the model in one step, so that anything wrong with it is one failure that
//! is counted once.

use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::parse::Unreadable;
use super::wire;
use crate::model::{Conference, Participant, Session, Space};

/// A type that a response body is parsed into.
pub trait ResponseBody: Sized {
    /// Parses a whole body.
    ///
    /// # Errors
    /// [`UnreadableBody`]
    fn parse(bytes: &[u8]) -> Result<Self, UnreadableBody>;
}

/// Why a body could not be parsed.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableBody {
    #[error("the response body is not the expected JSON")]
    Json(#[from] serde_json::Error),
    #[error("the response has an {0}")]
    Content(#[from] Unreadable),
}

impl ResponseBody for Conference {
    fn parse(bytes: &[u8]) -> Result<Self, UnreadableBody> {
        parse_as::<wire::ConferenceRecord, _>(bytes)
    }
}

impl ResponseBody for Participant {
    fn parse(bytes: &[u8]) -> Result<Self, UnreadableBody> {
        parse_as::<wire::Participant, _>(bytes)
    }
}

impl ResponseBody for Session {
    fn parse(bytes: &[u8]) -> Result<Self, UnreadableBody> {
        parse_as::<wire::ParticipantSession, _>(bytes)
    }
}

impl ResponseBody for Space {
    fn parse(bytes: &[u8]) -> Result<Self, UnreadableBody> {
        parse_as::<wire::Space, _>(bytes)
    }
}

impl ResponseBody for wire::Person {
    fn parse(bytes: &[u8]) -> Result<Self, UnreadableBody> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

impl ResponseBody for wire::GetPeopleResponse {
    fn parse(bytes: &[u8]) -> Result<Self, UnreadableBody> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

fn parse_as<W: DeserializeOwned, T: TryFrom<W, Error = Unreadable>>(bytes: &[u8]) -> Result<T, UnreadableBody> {
    Ok(serde_json::from_slice::<W>(bytes)?.try_into()?)
}

impl UnreadableBody {
    /// Says what is wrong and where, without quoting the body.
    pub(super) fn into_failure(self, is_html: bool) -> Failure {
        match self {
            _ if is_html => Failure::malformed("the response is HTML instead of JSON"),
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
