//! CloudEvents 1.0 in structured mode, or in batched mode for several events.
//!
//! Sources: the CloudEvents specification 1.0.2, its JSON format and its HTTP binding, and the extension `sequence`.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::body::{FrozenEvent, MessageBody, Unwritable};
use super::spec::{Encode, Format, FormatSpec, Grouping, Signing};
use crate::model::{Event, TargetName};

pub(super) static SPEC: FormatSpec = FormatSpec {
    name: "cloudevents",
    signing: Signing::Required,
    grouping: Grouping::Batches,
    default_events: &[],
    own_keys: &[],
    build: |_| Ok(Format::new(&SPEC, CloudEvents)),
};

#[derive(Debug)]
struct CloudEvents;

#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: &'a str,
    source: String,
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    time: Timestamp,
    datacontenttype: &'static str,
    /// Zero-padded to 20 digits, so that it sorts as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<String>,
    /// The event, byte for byte as it was committed.
    data: &'a RawValue,
}

impl Encode for CloudEvents {
    fn encode(&self, event: &FrozenEvent<'_>) -> Result<MessageBody, Unwritable> {
        write(&event.parse()?, event.json)
    }

    fn encode_all(&self, events: &[FrozenEvent<'_>]) -> Result<MessageBody, Unwritable> {
        let bodies = events.iter().map(|event| self.encode(event));
        MessageBody::json_array("application/cloudevents-batch+json", bodies)
    }
}

fn write(event: &Event, frozen: &str) -> Result<MessageBody, Unwritable> {
    let bytes = serde_json::to_vec(&CloudEvent {
        specversion: "1.0",
        id: event.id.as_str(),
        source: source(event),
        r#type: format!("dev.meetwatch.{}.v{}", event.event.as_str(), event.schema),
        subject: subject(event),
        time: event.time,
        datacontenttype: "application/json",
        sequence: event.sequence.map(|sequence| format!("{sequence:020}")),
        data: serde_json::from_str(frozen)?,
    })?;
    Ok(MessageBody { content_type: "application/cloudevents+json", bytes })
}

/// Returns the conference as a URI, or Google Meet as a whole for an event without a conference.
fn source(event: &Event) -> String {
    let conference = event.conference.as_ref().map(|conference| conference.name.as_str());
    format!("//meet.googleapis.com/{}", conference.unwrap_or_default())
}

/// Returns what the event is about within its source: a session, a participant, or the target of a gap that has no conference.
fn subject(event: &Event) -> Option<&str> {
    if event.event.as_str().starts_with("session.") {
        return event.session.as_ref().map(|session| session.name.as_str());
    }
    let participant = event.participant.as_ref().map(|participant| participant.name.as_str());
    let target = || event.targets.first().filter(|_| event.conference.is_none()).map(TargetName::as_str);
    participant.or_else(target)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::sample::samples;
    use super::*;
    use crate::model::EventType;

    fn written(event: &Event) -> Value {
        let body = write(event, &serde_json::to_string(event).unwrap()).unwrap();
        assert_eq!(body.content_type, "application/cloudevents+json");
        serde_json::from_slice(&body.bytes).unwrap()
    }

    fn sample(wanted: EventType) -> Event {
        samples().into_iter().find(|event| event.event == wanted && event.conference.is_some()).unwrap()
    }

    #[test]
    fn source_is_the_conference_and_subject_the_participant() {
        let event = sample(EventType::ParticipantJoined);
        let mut cloud = written(&event);
        assert_eq!(cloud["data"].take(), serde_json::to_value(&event).unwrap());
        let participant = event.participant.unwrap().name;
        assert_eq!(
            cloud,
            json!({
                "specversion": "1.0",
                "id": event.id.as_str(),
                "source": format!("//meet.googleapis.com/{}", event.conference.unwrap().name),
                "type": "dev.meetwatch.participant.joined.v1",
                "subject": participant.as_str(),
                "time": event.time.to_string(),
                "datacontenttype": "application/json",
                "sequence": "00000000000000000017",
                "data": null,
            })
        );
    }

    #[test]
    fn the_subject_of_a_session_event_is_the_session_and_a_gap_without_a_conference_has_no_sequence() {
        let event = sample(EventType::SessionEnded);
        assert_eq!(written(&event)["subject"], event.session.unwrap().name.as_str());
        let cloud = written(&Event { conference: None, sequence: None, ..sample(EventType::WatchGap) });
        assert_eq!(cloud["source"], "//meet.googleapis.com/");
        assert_eq!((cloud["subject"].as_str(), cloud.get("sequence")), (Some("board"), None));
    }
}
