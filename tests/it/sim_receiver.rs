//! The webhook receiver of the simulator: it verifies, counts, and changes its behaviour during a test.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use meetwatch::sim::receiver::{Behaviour, Counts, Delivered, Receiver, ReceiverSettings};

const SOON: Duration = Duration::from_secs(20);

fn settings() -> ReceiverSettings {
    let verify = Arc::new(|headers: &hyper::HeaderMap, _: &[u8]| {
        headers.get("webhook-signature").is_some_and(|signature| signature == "good")
    });
    ReceiverSettings::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), verify)
}

async fn post(receiver: &Receiver, id: &str, signature: &str, body: &str) -> reqwest::Result<u16> {
    let request = reqwest::Client::new()
        .post(receiver.url())
        .header("webhook-id", id)
        .header("webhook-signature", signature)
        .body(body.to_owned());
    Ok(request.send().await?.status().as_u16())
}

#[tokio::test]
async fn only_what_is_signed_counts_and_duplicates_count_apart() {
    let receiver = Receiver::start(ReceiverSettings { max_body: 100, ..settings() }).await.unwrap();
    assert_eq!(post(&receiver, "evt_1", "good", "{\"n\":1}").await.unwrap(), 204);
    assert_eq!(post(&receiver, "evt_1", "good", "{\"n\":1}").await.unwrap(), 204);
    assert_eq!(post(&receiver, "evt_2", "bad", "{\"n\":2}").await.unwrap(), 401);
    assert_eq!(post(&receiver, "evt_3", "good", &"x".repeat(101)).await.unwrap(), 413);
    assert_eq!(reqwest::get(receiver.url()).await.unwrap().status(), 405);
    assert_eq!(receiver.counts(), Counts { accepted: 1, duplicates: 1, turned_away: 0, refused: 3 });
    let deliveries = receiver.deliveries();
    let first = deliveries.iter().filter(|delivered| delivered.accepted && !delivered.duplicate);
    assert_eq!(first.map(Delivered::json).collect::<Vec<_>>(), [serde_json::json!({"n": 1})]);
    receiver.stop().await;
}

#[tokio::test]
async fn the_behaviour_can_change_during_a_test() {
    let receiver = Receiver::start(settings()).await.unwrap();
    receiver.behave(Behaviour::Answer(503, vec![("retry-after", "7".to_owned())]));
    let refused = reqwest::Client::new()
        .post(receiver.url())
        .header("webhook-id", "evt_1")
        .header("webhook-signature", "good")
        .send()
        .await
        .unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "7"));
    receiver.behave(Behaviour::Reset);
    assert!(post(&receiver, "evt_1", "good", "{}").await.is_err());
    receiver.behave(Behaviour::AcceptSilently);
    assert!(post(&receiver, "evt_1", "good", "{}").await.is_err());
    receiver.behave(Behaviour::Accept);
    assert_eq!(post(&receiver, "evt_1", "good", "{}").await.unwrap(), 204);
    assert_eq!(receiver.counts(), Counts { accepted: 1, duplicates: 1, turned_away: 2, refused: 0 });
    receiver.stop().await;
}

#[tokio::test]
async fn a_delivery_hangs_until_the_behaviour_changes() {
    let receiver = Receiver::start(settings()).await.unwrap();
    receiver.behave(Behaviour::Hang);
    let hanging = post(&receiver, "evt_1", "good", "{}");
    let let_go = async {
        assert!(!receiver.wait_for(1, Duration::from_millis(50)).await, "a hanging delivery was accepted");
        receiver.behave(Behaviour::Accept);
    };
    let (answer, ()) = tokio::join!(hanging, let_go);
    assert!(answer.is_err());
    assert_eq!(receiver.counts().turned_away, 1);
    receiver.stop().await;
}

#[tokio::test]
async fn a_test_waits_for_a_delivery_without_sleeping() {
    let (sender, mut forwarded) = tokio::sync::mpsc::channel(10);
    let receiver = Receiver::start(ReceiverSettings { forward: Some(sender), keep: 2, ..settings() }).await.unwrap();
    let wanted = receiver.want(SOON, |event| event["n"] == 3);
    let sending = async {
        for n in 1..=3 {
            post(&receiver, &format!("evt_{n}"), "good", &format!("{{\"n\":{n}}}")).await.unwrap();
        }
    };
    let (delivered, ()) = tokio::join!(wanted, sending);
    assert_eq!(delivered.unwrap().id, "evt_3");
    assert!(receiver.wait_for(3, SOON).await);
    assert_eq!(receiver.deliveries().len(), 2, "the oldest was dropped first");
    assert_eq!(forwarded.recv().await.unwrap().json()["n"], 1);
    assert!(receiver.want(Duration::from_millis(10), |event| event["n"] == 9).await.is_none());
    receiver.stop().await;
}
