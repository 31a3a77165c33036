//! Listing deliveries and changing the outbox through the API of a running daemon.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::repair_daemon::{Daemon, webhook};
use crate::store_samples::{commit, event, joins, participant_row, session_row};
use crate::webhook_receiver::{Answer, Receiver};

fn all_done(answer: &Value) -> bool {
    answer["deliveries"].as_array().unwrap().iter().all(|delivery| delivery["state"] == "done")
}

#[tokio::test]
async fn deliveries_are_listed_by_pages_and_shown_with_each_attempt() {
    let receiver = Receiver::start(Answer::Status(204)).await;
    let daemon = Daemon::start(&webhook("ops", &receiver, ""), vec![joins("c", 1..=5, &["ops"])]).await;
    daemon.get_until("deliveries", all_done).await;
    let first = daemon.get("deliveries?endpoint=ops&state=done&limit=3&conference=conferenceRecords/c").await;
    let second = daemon.get(&format!("deliveries?limit=3&before={}", first["next"])).await;
    let sequences = |page: &Value| {
        page["deliveries"].as_array().unwrap().iter().map(|d| d["sequence"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((sequences(&first), sequences(&second)), (vec![5, 4, 3], vec![2, 1]));
    assert_eq!(second["next"], Value::Null);
    assert_eq!(daemon.get("deliveries?state=dead").await["deliveries"], json!([]));

    let id = &first["deliveries"][0]["id"];
    let shown = daemon.get(&format!("deliveries/{id}")).await;
    assert_eq!(shown["delivery"], first["deliveries"][0]);
    assert_eq!(shown["event"], json!({"schema": 1, "sequence": 5}));
    let attempt = &shown["attempts"][0];
    assert_eq!((&attempt["number"], &attempt["status"], &attempt["reason"]), (&json!(1), &json!(204), &Value::Null));
    daemon.stop().await;
}

#[tokio::test]
async fn finished_and_dead_deliveries_are_sent_again_on_request() {
    let mut receiver = Receiver::start(Answer::Status(204)).await;
    let daemon = Daemon::start(&webhook("ops", &receiver, ""), vec![joins("c", 1..=2, &["ops"])]).await;
    let (one, two) = (receiver.want(1).await, receiver.want(2).await);
    let done = daemon.get_until("deliveries", all_done).await;
    let id = &done["deliveries"][1]["id"];
    assert_eq!(daemon.post("deliveries/replay", &format!("{{\"delivery\": {id}}}")).await["replayed"], 1);
    assert_eq!(receiver.want(1).await.id, one.id);
    daemon.get_until("deliveries", all_done).await;
    let range = r#"{"endpoint": "ops", "from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}"#;
    assert_eq!(daemon.post("deliveries/replay", range).await["replayed"], 2);
    assert_eq!(receiver.want(1).await.id, one.id);
    assert_eq!(receiver.want(2).await.id, two.id);
    assert_eq!(daemon.post("deliveries/replay", r#"{"endpoint": "ops", "dead": true}"#).await["replayed"], 0);
    daemon.stop().await;
}

#[tokio::test]
async fn an_endpoint_can_be_switched_off_and_on_with_or_without_its_backlog() {
    let mut receiver = Receiver::start(Answer::Status(410)).await;
    let daemon = Daemon::start(&webhook("ops", &receiver, ""), vec![joins("c", 1..=3, &["ops"])]).await;
    let off = daemon.get_until("endpoints", |answer| answer["endpoints"][0]["enabled"] == false).await;
    let endpoint = &off["endpoints"][0];
    assert_eq!((&endpoint["reason"], &endpoint["pending"]), (&json!("gone"), &json!(3)));
    assert_eq!(endpoint["address"], format!("http://{}/…", receiver.address));
    assert_eq!(endpoint["last_day"], json!({"arrived": 0, "failed": 1, "success_rate": 0.0}));
    receiver.next().await;

    receiver.answer(Answer::Status(204));
    let on = daemon.post("endpoints/ops/enable", r#"{"from": "now"}"#).await;
    assert_eq!(on, json!({"enabled": true, "skipped": 3}));
    let skipped = daemon.get("endpoints/ops/skipped").await;
    assert_eq!(skipped["deliveries"].as_array().unwrap().len(), 3);
    assert_eq!(skipped["deliveries"][0]["state"], "expired");
    let range = r#"{"endpoint": "ops", "from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}"#;
    assert_eq!(daemon.post("endpoints/ops/disable", "").await["enabled"], false);
    daemon.post("deliveries/replay", range).await;
    assert!(receiver.rest().is_empty());
    daemon.post("endpoints/ops/enable", "").await;
    for sequence in 1..=3 {
        receiver.want(sequence).await;
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_delivery_claimed_before_its_endpoint_is_switched_off_is_not_sent_afterwards() {
    let mut receiver = Receiver::start(Answer::Hang).await;
    let webhooks = webhook("ops", &receiver, "concurrency = 1\ntimeout = \"3s\"");
    let daemon = Daemon::start(&webhooks, vec![joins("a", 1..=1, &["ops"]), joins("b", 1..=1, &["ops"])]).await;
    receiver.next().await;
    daemon.post("endpoints/ops/disable", "").await;
    let tried = |answer: &Value| answer["deliveries"].as_array().unwrap().iter().any(|row| row["attempts"] == 1);
    daemon.get_until("deliveries", tried).await;
    assert!(receiver.rest().is_empty());
    daemon.stop().await;
}

#[tokio::test]
async fn a_test_is_a_signed_delivery_and_shows_the_answer_without_the_secrets() {
    let mut receiver = Receiver::start(Answer::Status(204)).await;
    let daemon = Daemon::start(&webhook("ops", &receiver, ""), Vec::new()).await;
    let tested = daemon.post("endpoints/ops/test", "").await;
    assert_eq!((&tested["delivered"], &tested["status"]), (&json!(true), &json!(204)));
    let got = receiver.next().await;
    assert_eq!(got.id, tested["id"].as_str().unwrap());
    assert!(std::str::from_utf8(&got.body).unwrap().starts_with(r#"{"type":"webhook.test""#));
    receiver.answer(Answer::Status(500));
    let failed = daemon.post("endpoints/ops/test", "{}").await;
    assert_eq!((&failed["delivered"], &failed["reason"]), (&json!(false), &json!("server_error")));
    assert_eq!(daemon.get("deliveries").await["deliveries"], json!([]), "a test is not stored");
    daemon.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_is_not_configured_is_orphaned_and_only_such_a_one_can_be_removed() {
    let receiver = Receiver::start(Answer::Status(410)).await;
    let commits = vec![joins("c", 1..=2, &["old"])];
    let daemon = Daemon::start(&webhook("old", &receiver, ""), commits).await;
    let daemon = daemon.reconfigured(&webhook("ops", &receiver, "")).await;
    let endpoints = daemon.get("endpoints").await;
    let old = endpoints["endpoints"].as_array().unwrap().iter().find(|endpoint| endpoint["name"] == "old").unwrap();
    assert_eq!((&old["orphaned"], &old["pending"], &old["address"]), (&json!(true), &json!(2), &Value::Null));
    let (status, _) = daemon.ask(Method::DELETE, "endpoints/ops", "").await;
    assert_eq!(status, StatusCode::CONFLICT);
    let (status, answer) = daemon.ask(Method::DELETE, "endpoints/old", "").await;
    assert_eq!((status, &answer["deleted"]), (StatusCode::OK, &json!(2)));
    assert_eq!(daemon.get("endpoints").await["endpoints"].as_array().unwrap().len(), 1);
    daemon.stop().await;
}

#[tokio::test]
async fn the_log_and_the_present_people_can_be_read() {
    let mut live = commit("c", vec![event("c", 1, &[]), event("c", 2, &[])]);
    live.participants = vec![participant_row("c", "p1"), participant_row("c", "p2")];
    live.sessions = vec![session_row("c", "p1", "s")];
    let daemon = Daemon::start("", vec![live]).await;
    let log = daemon.get("events?limit=1").await;
    assert_eq!(log["events"][0]["event"]["sequence"], 1);
    let rest = daemon.get(&format!("events?after={}", log["next"])).await;
    assert_eq!((rest["events"].as_array().unwrap().len(), &rest["events"][0]["event"]["sequence"]), (1, &json!(2)));
    let conferences = daemon.get("conferences").await;
    let conference = &conferences["conferences"][0];
    assert_eq!((&conference["name"], &conference["phase"]), (&json!("conferenceRecords/c"), &json!("live")));
    assert_eq!(
        conference["participants"].as_array().unwrap().len(),
        2,
        "both joined, though one has no session that was read"
    );
    daemon.stop().await;
}

#[tokio::test]
async fn a_malformed_request_is_refused_with_one_sentence() {
    let receiver = Receiver::start(Answer::Status(204)).await;
    let daemon = Daemon::start(&webhook("ops", &receiver, ""), Vec::new()).await;
    for (method, path, body, status) in [
        (Method::GET, "deliveries?state=gone", "", StatusCode::BAD_REQUEST),
        (Method::GET, "deliveries?limit=0", "", StatusCode::BAD_REQUEST),
        (Method::GET, "deliveries?limit=5&limit=6", "", StatusCode::BAD_REQUEST),
        (Method::GET, "deliveries?wat=1", "", StatusCode::BAD_REQUEST),
        (Method::GET, "deliveries/x", "", StatusCode::BAD_REQUEST),
        (Method::GET, "deliveries/999", "", StatusCode::NOT_FOUND),
        (Method::GET, "events?after=-1", "", StatusCode::BAD_REQUEST),
        (Method::GET, "events?after=18446744073709551615", "", StatusCode::BAD_REQUEST),
        (Method::GET, "endpoints/nobody/skipped", "", StatusCode::NOT_FOUND),
        (Method::POST, "endpoints/nobody/enable", "", StatusCode::NOT_FOUND),
        (Method::POST, "endpoints/nobody/test", "", StatusCode::NOT_FOUND),
        (Method::POST, "endpoints/ops/enable", r#"{"from": "then"}"#, StatusCode::BAD_REQUEST),
        (Method::POST, "endpoints/ops/test", "x", StatusCode::BAD_REQUEST),
        (Method::POST, "deliveries/replay", "{}", StatusCode::BAD_REQUEST),
        (Method::POST, "deliveries/replay", r#"{"delivery": 999}"#, StatusCode::NOT_FOUND),
        (Method::GET, "endpoints/ops/test", "", StatusCode::METHOD_NOT_ALLOWED),
        (Method::POST, "deliveries", "", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let (got, answer) = daemon.ask(method, path, body).await;
        assert_eq!(got, status, "{path} {body}: {answer}");
        assert!(answer["error"].is_string(), "{path}: {answer}");
    }
    let (status, _) = daemon.ask(Method::POST, "deliveries/replay", &"x".repeat(20_000)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    daemon.stop().await;
}

#[tokio::test]
async fn nothing_is_shown_or_done_without_the_token() {
    let receiver = Receiver::start(Answer::Status(204)).await;
    let mut daemon = Daemon::start(&webhook("ops", &receiver, ""), Vec::new()).await;
    daemon.token.push('x');
    for (method, path) in [
        (Method::GET, "endpoints"),
        (Method::GET, "deliveries"),
        (Method::GET, "deliveries/1"),
        (Method::GET, "events"),
        (Method::GET, "conferences"),
        (Method::POST, "deliveries/replay"),
        (Method::POST, "forget"),
        (Method::POST, "endpoints/ops/test"),
        (Method::POST, "endpoints/ops/disable"),
        (Method::DELETE, "endpoints/ops"),
    ] {
        assert_eq!(daemon.ask(method, path, "").await.0, StatusCode::UNAUTHORIZED, "{path}");
    }
    daemon.stop().await;
}
