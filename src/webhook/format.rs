//! How a delivery's body is written.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::settings::Format;
use crate::model::EventType;

/// A body, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    pub content_type: &'static str,
    pub bytes: Vec<u8>,
}

/// The payload of Standard Webhooks 1.0.
#[derive(Serialize)]
struct Standard<'a> {
    r#type: &'static str,
    /// When the event happened.
    timestamp: Timestamp,
    /// The event, byte for byte as it was frozen when it was committed.
    data: &'a RawValue,
}

/// Writes the event in `format`. The same event gives the same bytes at every attempt.
///
/// # Errors
/// Where the frozen event is no JSON.
pub fn write(format: Format, event: EventType, time: Timestamp, frozen: &str) -> Result<Body, serde_json::Error> {
    match format {
        Format::Standard => {
            let data = serde_json::from_str(frozen)?;
            let bytes = serde_json::to_vec(&Standard { r#type: event.as_str(), timestamp: time, data })?;
            Ok(Body { content_type: "application/json", bytes })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(frozen: &str) -> Result<String, serde_json::Error> {
        let time = "2026-01-05T10:00:02.123456Z".parse().unwrap();
        let body = write(Format::Standard, EventType::ParticipantJoined, time, frozen)?;
        Ok(String::from_utf8(body.bytes).unwrap())
    }

    #[test]
    fn the_event_is_carried_byte_for_byte() {
        let frozen = r#"{"schema": 1,   "display_name":"\u00e9<!channel>","n":1.50}"#;
        assert_eq!(
            written(frozen).unwrap(),
            format!(r#"{{"type":"participant.joined","timestamp":"2026-01-05T10:00:02.123456Z","data":{frozen}}}"#)
        );
    }

    #[test]
    fn what_is_no_json_is_not_sent() {
        assert!(written("{").is_err());
        assert!(written(r#"{}, "more": {}"#).is_err());
    }
}
