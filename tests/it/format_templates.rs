//! The templates that ship with the program, and a template that fails on one event.

use meetwatch::delivery::format::{FormatOptions, FrozenEvent, by_name, samples};
use meetwatch::delivery::{EndpointSettings, MessageWriter};
use meetwatch::model::{EndpointName, EventType};
use serde_json::{Value, json};

use crate::format_samples::{sample, whole_joins};
use crate::repair_daemon::{Daemon, webhook};
use crate::webhook_receiver::{Answer, Receiver};

fn shipped(name: &str) -> MessageWriter {
    let path = format!("{}/deploy/templates/{name}.json.jinja", env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(path).unwrap();
    let (template, token) = (Some(source.as_str()), Some("routing-key".into()));
    let format = (by_name("template").unwrap().build)(FormatOptions { template, token, ..FormatOptions::default() });
    let url = "https://hooks.example.com/".parse().unwrap();
    let settings = EndpointSettings::new(EndpointName::parse("ops").unwrap(), url);
    MessageWriter::new(&EndpointSettings { format: format.unwrap(), ..settings }).unwrap()
}

fn written(writer: &MessageWriter, event: &meetwatch::model::Event) -> Value {
    let json = serde_json::to_string(event).unwrap();
    let frozen = FrozenEvent { id: &event.id, event: event.event, time: event.time, json: &json };
    let body = writer.single(&frozen).unwrap().body;
    assert_eq!(body.content_type, "application/json");
    serde_json::from_slice(&body.bytes).unwrap()
}

#[test]
fn discord_gets_a_sentence_without_mentions() {
    let discord = shipped("discord");
    for event in samples() {
        let message = written(&discord, &event);
        assert_eq!(message["allowed_mentions"], json!({"parse": []}));
        let content = message["content"].as_str().unwrap();
        assert!(!content.is_empty() && content.chars().count() <= 2000 && !content.contains("<!"), "{content}");
    }
}

#[test]
fn teams_gets_an_adaptive_card() {
    let teams = shipped("teams");
    let message = written(&teams, &sample(EventType::ParticipantJoined));
    let card = &message["attachments"][0];
    assert_eq!(card["contentType"], "application/vnd.microsoft.card.adaptive");
    assert_eq!(card["content"]["type"], "AdaptiveCard");
    let body = card["content"]["body"].as_array().unwrap();
    assert!(body[0]["text"].as_str().unwrap().contains("joined board"), "{message}");
    assert_eq!(body[1]["text"], "obrien＠example․com");
    assert_eq!(body[2]["facts"][0]["value"], "2026-01-05 10:00:02 UTC");
    for event in samples() {
        written(&teams, &event);
    }
}

#[test]
fn pagerduty_gets_an_alert_that_the_end_of_the_conference_resolves() {
    let pagerduty = shipped("pagerduty");
    let began = written(&pagerduty, &sample(EventType::ConferenceStarted));
    let ended = written(&pagerduty, &sample(EventType::ConferenceEnded));
    assert_eq!((&began["event_action"], &ended["event_action"]), (&json!("trigger"), &json!("resolve")));
    assert_eq!(began["dedup_key"], ended["dedup_key"]);
    assert_eq!(began["routing_key"], "routing-key");
    for event in samples() {
        let alert = written(&pagerduty, &event);
        for required in ["summary", "source", "severity"] {
            assert!(!alert["payload"][required].as_str().unwrap().is_empty(), "{alert}");
        }
        assert!(alert["payload"]["summary"].as_str().unwrap().chars().count() <= 1024);
    }
}

#[tokio::test]
async fn a_template_that_fails_on_one_event_costs_only_that_delivery() {
    let mut receiver = Receiver::start(Answer::Status(204)).await;
    // The samples have other sequences, so the configuration is accepted.
    let template = "format = \"template\"\ntemplate = '''{\"data\": {\"schema\": 1, \"sequence\": {{ 2 / 0 if event.sequence == 2 else event.sequence|default(0)|tojson }}}}'''";
    let daemon = Daemon::start(&webhook("ops", &receiver, template), vec![whole_joins("c", 1..=3, &["ops"])]).await;
    receiver.want(1).await;
    receiver.want(3).await;
    let dead = daemon.get_until("endpoints/ops/skipped", |answer| answer["deliveries"] != json!([])).await;
    let dead = dead["deliveries"].as_array().unwrap();
    assert_eq!((dead.len(), &dead[0]["sequence"], &dead[0]["reason"]), (1, &json!(2), &json!("unsendable")));
    daemon.stop().await;
}
