//! The payload of Standard Webhooks 1.0.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::Body;
use crate::model::EventType;

#[derive(Serialize)]
struct Payload<'a> {
    r#type: &'static str,
    /// When the event happened.
    timestamp: Timestamp,
    /// The event, byte for byte as it was frozen when it was committed.
    data: &'a RawValue,
}

pub(super) fn write(event: EventType, time: Timestamp, frozen: &str) -> Result<Body, serde_json::Error> {
    let data = serde_json::from_str(frozen)?;
    let bytes = serde_json::to_vec(&Payload { r#type: event.as_str(), timestamp: time, data })?;
    Ok(Body { content_type: "application/json", bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(frozen: &str) -> Result<String, serde_json::Error> {
        let time = "2026-01-05T10:00:02.123456Z".parse().unwrap();
        let body = write(EventType::ParticipantJoined, time, frozen)?;
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
