//! An answer's body, from bytes to the model in one step, so that whatever is wrong with it is one failure, counted once.

use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::parse::Unreadable;
use super::wire;
use crate::model::{Conference, Participant, Session, Space};

/// What a body can become.
pub trait ResponseBody: Sized {
    /// Reads a whole body.
    ///
    /// # Errors
    /// [`UnreadableBody`]
    fn parse(bytes: &[u8]) -> Result<Self, UnreadableBody>;
}

/// A body that is not what the API promises.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableBody {
    #[error("a body that is not the JSON it should be")]
    Json(#[from] serde_json::Error),
    #[error("an answer with an {0}")]
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
    /// What is wrong, and where; never what stands there.
    pub(super) fn into_failure(self, is_html: bool) -> Failure {
        match self {
            _ if is_html => Failure::malformed("HTML instead of JSON"),
            Self::Content(unreadable) => Failure::malformed(format!("an answer with an {unreadable}")),
            Self::Json(error) => {
                let what = match error.classify() {
                    serde_json::error::Category::Eof => "JSON that breaks off",
                    serde_json::error::Category::Data => "JSON of another shape",
                    _ => "not JSON",
                };
                Failure::malformed(format!("{what}, at line {} column {}", error.line(), error.column()))
            }
        }
    }
}
