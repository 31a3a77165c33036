//! Redacted names, from the configuration to the receiver.

use std::collections::BTreeSet;

use meetwatch::model::event_id::Edge;
use meetwatch::model::{BatchId, Event, EventId, EventKey, EventType, Source};
use meetwatch::store::NewEvent;
use serde_json::Value;

use crate::format_samples::whole_of;
use crate::repair_daemon::{Daemon, webhook};
use crate::store_samples::{commit, noon, participant};
use crate::webhook_receiver::{Answer, Got, Receiver};

async fn next(receiver: &mut Receiver) -> Value {
    let body = receiver.next().await.body;
    let text = std::str::from_utf8(&body).unwrap();
    for personal in ["O'Brien", "obrien@", "112233"] {
        assert!(!text.contains(personal), "{personal} in {text}");
    }
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn a_person_has_one_pseudonym_in_every_format_and_after_a_restart() {
    let mut standard = Receiver::start(Answer::Status(204)).await;
    let mut cloud = Receiver::start(Answer::Status(204)).await;
    let hide = "names = \"pseudonym\"\n";
    let webhooks =
        webhook("standard", &standard, hide) + &webhook("cloud", &cloud, &format!("{hide}format = \"cloudevents\""));
    let events = vec![
        whole_of(EventType::ParticipantJoined, "c", 1, &["standard", "cloud"]),
        whole_of(EventType::ConferenceEnded, "c", 2, &["standard", "cloud"]),
    ];
    let daemon = Daemon::start(&webhooks, vec![commit("c", events)]).await;
    let (joined, ended) = (next(&mut standard).await, next(&mut standard).await);
    let person = joined["data"]["participant"].clone();
    assert!(person["display_name"].as_str().unwrap().starts_with("Person "), "{person}");
    assert_eq!(ended["data"]["attendance"]["participants"][0]["participant"], person);
    let cloud_joined = next(&mut cloud).await;
    assert_eq!((&cloud_joined["data"]["participant"], &cloud_joined["subject"]), (&person, &person["name"]));
    next(&mut cloud).await;

    let daemon = daemon.reconfigured(&webhooks).await;
    let range = r#"{"endpoint": "standard", "from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}"#;
    assert_eq!(daemon.post("deliveries/replay", range).await["replayed"], 2);
    assert_eq!(next(&mut standard).await["data"]["participant"], person);
    daemon.stop().await;
}

#[tokio::test]
async fn a_chat_shows_initials_where_names_are_redacted() {
    let mut chat = Receiver::start(Answer::Status(204)).await;
    let text = webhook("chat", &chat, "format = \"slack\"\nnames = \"initials\"\ntime_zone = \"Europe/Berlin\"");
    // A chat has no signing secret.
    let text: String =
        text.lines().filter(|line| !line.starts_with("secret")).map(|line| format!("{line}\n")).collect();
    let joined = whole_of(EventType::ParticipantJoined, "c", 1, &["chat"]);
    let daemon = Daemon::start(&text, vec![commit("c", vec![joined])]).await;
    let got = chat.unsigned().await;
    assert!(got.headers.get("webhook-signature").is_none());
    let message: Value = serde_json::from_slice(&got.body).unwrap();
    let wanted =
        "→ O\u{2024}X. joined board (abc-mnop-xyz) at 13:00:00 CET; 7 are present now (corrects an earlier message)";
    assert_eq!(message["text"], wanted);
    daemon.stop().await;
}

/// The ids that somebody can compute who knows everybody's account, the conference, and all times to the nanosecond.
fn guesses(people: &[String]) -> BTreeSet<EventId> {
    let mut ids = BTreeSet::new();
    for person in people {
        for event in EventType::ALL {
            for source in [Source::Google, Source::Inferred] {
                let resource = participant("c", person);
                for n in 0..3 {
                    ids.insert(
                        EventKey { event, resource: resource.as_str(), edge: Edge::Time(noon()), source, n }.id(),
                    );
                }
            }
        }
    }
    ids
}

/// Everything that a request shows of ids: its headers and its body.
fn shown(got: &Got) -> String {
    let headers = got.headers.values().map(|value| value.to_str().unwrap_or_default());
    headers.chain([std::str::from_utf8(&got.body).unwrap()]).collect::<Vec<_>>().join("\n")
}

/// A join and a leave that corrects it, then another join, all told to these endpoints.
fn story(owed_to: &[&str]) -> Vec<NewEvent> {
    let joined = whole_of(EventType::ParticipantJoined, "c", 1, owed_to);
    let corrected = whole_of(EventType::ParticipantLeft, "c", 2, owed_to);
    let mut told: Event = serde_json::from_str(&corrected.body).unwrap();
    told.corrects = Some(joined.id.clone());
    let corrected = NewEvent { body: serde_json::to_string(&told).unwrap().into(), ..corrected };
    vec![joined, corrected, whole_of(EventType::ParticipantJoined, "c", 3, owed_to)]
}

#[tokio::test]
async fn who_knows_accounts_and_facts_finds_nobody_by_computing_ids() {
    let template = r#"{"id": "{{ event.id }}", "whole": {{ event|tojson }}}"#;
    let mut receivers = Vec::new();
    let mut webhooks = String::new();
    for (name, more) in [
        ("pseudonym", "names = \"pseudonym\"".to_owned()),
        ("none", "names = \"none\"\nformat = \"cloudevents\"".to_owned()),
        ("initials", format!("names = \"initials\"\nformat = \"template\"\ntemplate = '''{template}'''")),
        ("batches", "names = \"pseudonym\"\nmax_events = 2".to_owned()),
    ] {
        let receiver = Receiver::start(Answer::Status(204)).await;
        webhooks += &webhook(name, &receiver, &more);
        receivers.push((name, receiver));
    }
    let told = story(&["pseudonym", "none", "initials", "batches"]);
    let known: BTreeSet<EventId> = told.iter().map(|event| event.id.clone()).collect();
    let people: Vec<String> = (1..=3).map(|number| format!("p{number}")).collect();
    let guesses = guesses(&people);
    assert!(guesses.iter().any(|id| known.contains(id)), "with full names, the guesses lead to people");
    let daemon = Daemon::start(&webhooks, vec![commit("c", told)]).await;
    let mut first_ids = BTreeSet::new();
    for (name, receiver) in &mut receivers {
        let requests = if *name == "batches" { 1 } else { 3 };
        for _ in 0..requests {
            let got = receiver.next().await;
            let text = shown(&got);
            for id in guesses.iter().chain(&known) {
                assert!(!text.contains(id.as_str()), "{name}: {id} in {text}");
                assert_ne!(got.id, BatchId::of([id]).as_str(), "{name}");
            }
            if *name == "batches" {
                let pairs: Vec<_> = known.iter().flat_map(|a| known.iter().map(move |b| BatchId::of([a, b]))).collect();
                assert!(pairs.iter().all(|pair| pair.as_str() != got.id), "{}", got.id);
            } else if got.previous.is_none() {
                first_ids.insert(got.id);
            }
        }
    }
    assert_eq!(first_ids.len(), 1, "endpoints that hide names share ids, as they share pseudonyms");
    daemon.stop().await;
}

#[tokio::test]
async fn where_names_are_hidden_every_reference_leads_to_the_id_that_was_sent_also_after_a_restart() {
    let mut receiver = Receiver::start(Answer::Status(204)).await;
    let webhooks = webhook("hidden", &receiver, "names = \"pseudonym\"");
    let daemon = Daemon::start(&webhooks, vec![commit("c", story(&["hidden"]))]).await;
    let mut before = Vec::new();
    for sequence in 1..=3 {
        let got = receiver.want(sequence).await;
        let body: Value = serde_json::from_slice(&got.body).unwrap();
        assert_eq!(body["data"]["id"], got.id);
        assert_eq!(got.previous.as_ref(), before.last());
        if sequence == 2 {
            assert_eq!(body["data"]["corrects"], before[0]);
        }
        before.push(got.id);
    }
    let daemon = daemon.reconfigured(&webhooks).await;
    let range = r#"{"endpoint": "hidden", "from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}"#;
    assert_eq!(daemon.post("deliveries/replay", range).await["replayed"], 3);
    for sequence in 1..=3 {
        assert_eq!(receiver.want(sequence).await.id, before[usize::try_from(sequence).unwrap() - 1]);
    }
    daemon.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_begins_to_hide_names_is_sent_keyed_ids_from_then_on() {
    let mut receiver = Receiver::start(Answer::Status(204)).await;
    let told = story(&["turning"]);
    let stored: Vec<String> = told.iter().map(|event| event.id.to_string()).collect();
    let daemon = Daemon::start(&webhook("turning", &receiver, ""), vec![commit("c", told)]).await;
    for id in &stored {
        assert_eq!(receiver.next().await.id, *id, "with full names, the id is the log's");
    }
    let daemon = daemon.reconfigured(&webhook("turning", &receiver, "names = \"initials\"")).await;
    let range = r#"{"endpoint": "turning", "from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}"#;
    assert_eq!(daemon.post("deliveries/replay", range).await["replayed"], 3);
    for _ in &stored {
        let text = shown(&receiver.next().await);
        assert!(stored.iter().all(|id| !text.contains(id)), "{text}");
    }
    let listed = daemon.get("deliveries?endpoint=turning").await.to_string();
    assert!(stored.iter().all(|id| listed.contains(id)), "the operator sees the log's ids: {listed}");
    daemon.stop().await;
}
