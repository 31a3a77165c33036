//! The real daemon and a real receiver that takes one message a second: `meetwatch listen --rate 1/s`.

use std::time::Duration;

use jiff::Timestamp;
use meetwatch::clock::Clock;
use meetwatch::store::Commit;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::repair_daemon::Daemon;
use crate::store_samples::joins;
use crate::tools_command::{SECRET, listening};

const CONFERENCES: u64 = 5;
const EVENTS: u64 = 2;
const MESSAGES: usize = (CONFERENCES * EVENTS) as usize;

/// A commit of some events of a conference, whose bodies are events that a receiver can read.
fn commit(conference: u64) -> Commit {
    let mut commit = joins(&format!("c{conference}"), 1..=EVENTS, &["chat"]);
    for event in &mut commit.events {
        let body = json!({
            "schema": 1, "id": event.id, "type": "participant.joined", "time": "2026-01-05T10:00:00Z",
            "observed_at": "2026-01-05T10:00:01Z", "provenance": "observed", "sequence": event.sequence, "targets": [],
            "conference": null, "participant": null, "session": null, "present": null, "corrects": null
        });
        event.body = body.to_string().into();
    }
    commit
}

/// Asserts that no delivery waits for longer than a minute, and returns how many have arrived.
fn arrived(deliveries: &Value, now: Timestamp) -> usize {
    let rows = deliveries["deliveries"].as_array().unwrap();
    for row in rows {
        assert!(["pending", "leased", "done"].contains(&row["state"].as_str().unwrap()), "{row}");
        if let Some(due) = row["due_at"].as_str() {
            let due: Timestamp = due.parse().unwrap();
            assert!(due.duration_since(now).as_secs() < 60, "put off at {now}: {row}");
        }
    }
    rows.iter().filter(|row| row["state"] == "done").count()
}

/// Sends a backlog to a receiver that takes one message a second and answers the others with this status.
async fn drains(status: &str) {
    let (mut receiver, address) = listening(&["--rate", "1/s", "--status", status, "--json"]).await;
    let webhook = format!("[[webhook]]\nname = \"chat\"\nurl = \"{address}\"\nsecret = \"{SECRET}\"\n");
    let daemon = Daemon::start(&webhook, (0..CONFERENCES).map(commit).collect()).await;
    let clock = Clock::new();
    let mut limits = Vec::new();
    let drained = async {
        loop {
            if arrived(&daemon.get("deliveries?limit=100").await, clock.now().wall) == MESSAGES {
                return;
            }
            let endpoint = daemon.get("endpoints").await["endpoints"][0].clone();
            assert_eq!((&endpoint["enabled"], &endpoint["dead"]), (&json!(true), &json!(0)), "{endpoint}");
            limits.extend(endpoint["limited_per_second"].as_f64());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    // At one a second it takes ten seconds.
    tokio::time::timeout(Duration::from_secs(60), drained).await.expect("the backlog in time");
    assert!(limits.iter().any(|limit| (0.1..10.0).contains(limit)), "the API shows the limit: {limits:?}");
    daemon.stop().await;
    let mut received = BufReader::new(receiver.stdout.take().unwrap()).lines();
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..MESSAGES {
        let line = tokio::time::timeout(Duration::from_secs(10), received.next_line()).await.unwrap().unwrap().unwrap();
        ids.insert(serde_json::from_str::<Value>(&line).unwrap()["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), MESSAGES, "each was taken once");
}

#[tokio::test]
async fn d1_a_chat_that_answers_429_to_more_than_one_a_second_gets_its_backlog_from_the_real_daemon() {
    drains("429").await;
}

#[tokio::test]
async fn d2_a_receiver_that_answers_503_to_more_than_one_a_second_gets_its_backlog_from_the_real_daemon() {
    drains("503").await;
}
