//! The payload of Standard Webhooks 1.0: `{"type", "timestamp", "data"}`. The default format.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::body::{FrozenEvent, MessageBody, Unwritable};
use super::spec::{Encode, Format, FormatSpec, Grouping, Signing};

pub(super) static SPEC: FormatSpec = FormatSpec {
    name: "standard",
    signing: Signing::Required,
    grouping: Grouping::Batches,
    default_events: &[],
    own_keys: &[],
    build: |_| Ok(Format::default()),
};

impl Default for Format {
    fn default() -> Self {
        Self::new(&SPEC, Standard)
    }
}

#[derive(Debug)]
struct Standard;

#[derive(Serialize)]
struct Payload<'a> {
    r#type: &'static str,
    /// When the event happened.
    timestamp: Timestamp,
    /// The event, byte for byte as it was committed.
    data: &'a RawValue,
}

impl Encode for Standard {
    fn encode(&self, event: &FrozenEvent<'_>) -> Result<MessageBody, Unwritable> {
        let data = serde_json::from_str(event.json)?;
        let bytes = serde_json::to_vec(&Payload { r#type: event.event.as_str(), timestamp: event.time, data })?;
        Ok(MessageBody { content_type: "application/json", bytes })
    }

    fn encode_all(&self, events: &[FrozenEvent<'_>]) -> Result<MessageBody, Unwritable> {
        MessageBody::json_array("application/json", events.iter().map(|event| self.encode(event)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventId, EventType};

    fn written(json: &str) -> Result<String, Unwritable> {
        let (id, time) = (EventId::parse("evt_a").unwrap(), "2026-01-05T10:00:02.123456Z".parse().unwrap());
        let body = Standard.encode(&FrozenEvent { id: &id, event: EventType::ParticipantJoined, time, json })?;
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
    fn an_event_that_is_not_json_is_not_sent() {
        assert!(written("{").is_err());
        assert!(written(r#"{}, "more": {}"#).is_err());
    }
}
