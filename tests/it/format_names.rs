//! Redacted names, from the configuration to the receiver.

use meetwatch::model::EventType;
use serde_json::Value;

use crate::format_samples::whole_of;
use crate::repair_daemon::{Daemon, webhook};
use crate::store_samples::commit;
use crate::webhook_receiver::{Answer, Receiver};

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
