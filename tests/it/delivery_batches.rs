//! Batches and digests, from the configuration to the receiver.

use meetwatch::model::{BatchId, EventType};
use meetwatch::store::NewEvent;
use serde_json::Value;

use crate::format_samples::{whole_joins, whole_of};
use crate::repair_daemon::{Daemon, webhook};
use crate::store_samples::commit;
use crate::webhook_receiver::{Answer, Got, Receiver};

fn id_of(sequences: std::ops::RangeInclusive<u64>) -> String {
    let events: Vec<NewEvent> =
        sequences.map(|sequence| whole_of(EventType::ParticipantJoined, "c", sequence, &[])).collect();
    BatchId::of(events.iter().map(|event| &event.id)).to_string()
}

fn content_type(got: &Got) -> &str {
    got.headers["content-type"].to_str().unwrap()
}

fn sequences(got: &Got) -> Vec<u64> {
    let all: Vec<Value> = serde_json::from_slice(&got.body).unwrap();
    all.iter().map(|one| one["data"]["sequence"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_batch_is_an_array_and_its_retry_has_the_same_id_and_bytes() {
    let mut receiver = Receiver::start(Answer::Status(500)).await;
    let config = webhook("ops", &receiver, "max_events = 3\nmax_wait = \"1s\"\nschedule = [\"1s\"]");
    let daemon = Daemon::start(&config, vec![whole_joins("c", 1..=4, &["ops"])]).await;
    let first = receiver.next().await;
    assert_eq!((first.id.clone(), first.previous.clone()), (id_of(1..=3), None));
    assert_eq!((content_type(&first), sequences(&first)), ("application/json", vec![1, 2, 3]));
    receiver.answer(Answer::Status(204));
    let again = receiver.next().await;
    assert_eq!((again.id, again.body), (first.id, first.body));
    let last = receiver.next().await;
    assert_eq!((last.id.clone(), sequences(&last)), (id_of(4..=4), vec![4]));
    let third = whole_of(EventType::ParticipantJoined, "c", 3, &[]).id;
    assert_eq!(last.previous.as_deref(), Some(third.as_str()));
    daemon.stop().await;
    assert!(receiver.rest().is_empty());
}

#[tokio::test]
async fn a_batch_of_cloudevents_has_the_batch_content_type() {
    let mut receiver = Receiver::start(Answer::Status(204)).await;
    let config = webhook("ops", &receiver, "max_wait = \"1s\"\nformat = \"cloudevents\"");
    let daemon = Daemon::start(&config, vec![whole_joins("c", 1..=2, &["ops"])]).await;
    let got = receiver.next().await;
    assert_eq!(content_type(&got), "application/cloudevents-batch+json");
    let all: Vec<Value> = serde_json::from_slice(&got.body).unwrap();
    assert_eq!(
        all.iter().map(|one| one["sequence"].as_str().unwrap()).collect::<Vec<_>>(),
        ["00000000000000000001", "00000000000000000002"]
    );
    daemon.stop().await;
}

#[tokio::test]
async fn a_digest_is_one_message_with_a_line_for_each_event() {
    let mut receiver = Receiver::start(Answer::Status(200)).await;
    let config = format!(
        "[[webhook]]\nname = \"chat\"\nurl = \"http://{}/x\"\nformat = \"slack\"\ndigest = \"1s\"\n",
        receiver.address
    );
    let events = [EventType::ParticipantJoined, EventType::ParticipantLeft];
    let events = events.into_iter().zip(1..).map(|(event, sequence)| whole_of(event, "c", sequence, &["chat"]));
    let daemon = Daemon::start(&config, vec![commit("c", events.collect())]).await;
    let message: Value = serde_json::from_slice(&receiver.unsigned().await.body).unwrap();
    let lines: Vec<_> = message["text"].as_str().unwrap().lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("joined") && lines[1].contains("left"), "{lines:?}");
    assert!(message["text"].as_str().unwrap().contains("‹ǃchannel›"), "{message}");
    daemon.stop().await;
    assert!(receiver.rest().is_empty());
}
