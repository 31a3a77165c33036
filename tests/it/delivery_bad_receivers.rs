//! Misbehaving receivers: each attempt ends with its reason, and no other endpoint is affected.

use std::time::Duration;

use meetwatch::delivery::dispatch::DispatcherOptions;
use meetwatch::delivery::{EndpointSettings, Policy};
use meetwatch::store::{DeliveryId, DeliveryState, StoredAttempt};

use crate::delivery_attempt::{End, raw};
use crate::delivery_dispatch::{Harness, deliveries, folder};
use crate::store_samples::{endpoint, joins};
use crate::webhook_receiver::{Answer, Receiver};

/// More conferences than a bad endpoint has concurrency.
const CONFERENCES: u64 = 20;

/// Runs a bad endpoint beside a good one, checks that the good one gets everything, and returns the first attempt at the bad one.
async fn attempt_beside_a_good_endpoint(bad: EndpointSettings) -> (StoredAttempt, DeliveryState) {
    let (_folder, path) = folder();
    let bad = EndpointSettings { name: endpoint("bad"), timeout: Duration::from_millis(300), ..bad };
    let mut good = Receiver::start(Answer::Status(204)).await;
    let options = DispatcherOptions { grace: Duration::ZERO, policy: Policy::of };
    let harness = Harness::open_with(&path, &[bad, good.endpoint("good")], &options);
    for number in 0..CONFERENCES {
        harness.commit(joins(&format!("c{number}"), 1..=2, &["bad", "good"])).await;
    }
    for _ in 0..2 * CONFERENCES {
        good.next().await;
    }
    let first = loop {
        let rows = deliveries(&harness.store, "bad").await;
        if let Some(row) = rows.into_iter().find(|row| row.attempts > 0) {
            break row;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let attempt = attempt(&harness, first.delivery).await;
    harness.close().await;
    assert!(good.rest().is_empty(), "nothing went out twice");
    (attempt, first.state)
}

async fn attempt(harness: &Harness, delivery: DeliveryId) -> StoredAttempt {
    harness.store.delivery(delivery).await.unwrap().unwrap().attempts.remove(0)
}

async fn fails_with(bad: EndpointSettings, reason: &str, status: Option<u16>) {
    let (attempt, _) = attempt_beside_a_good_endpoint(bad).await;
    assert_eq!((attempt.reason.as_deref(), attempt.status), (Some(reason), status), "{attempt:?}");
}

#[tokio::test]
async fn no_answer_times_out() {
    fails_with(raw(b"", End::Hang).await, "timeout", None).await;
}

async fn is_taken_with(note: &str, bad: EndpointSettings) {
    let (attempt, state) = attempt_beside_a_good_endpoint(bad).await;
    assert_eq!((&attempt.reason, attempt.status, state), (&None, Some(200), DeliveryState::Done), "{attempt:?}");
    assert!(attempt.answer.as_ref().is_some_and(|answer| answer.ends_with(note)), "{attempt:?}");
}

#[tokio::test]
async fn a_hang_after_a_2xx_head_is_noted() {
    let hangs = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", End::Hang).await;
    is_taken_with("[the answer did not end in time]", hangs).await;
}

#[tokio::test]
async fn a_slow_drip_after_a_2xx_head_is_noted() {
    let drips = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n", End::Drip).await;
    is_taken_with("[the answer did not end in time]", drips).await;
}

#[tokio::test]
async fn an_endless_body_after_a_2xx_head_is_noted() {
    let endless = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n", End::Repeat).await;
    is_taken_with("]", endless).await;
}

#[tokio::test]
async fn a_close_in_mid_body_after_a_2xx_head_is_noted() {
    let cut = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", End::Close).await;
    is_taken_with("[the answer broke off]", cut).await;
}

#[tokio::test]
async fn an_invalid_retry_after_is_ignored() {
    let nonsense = b"HTTP/1.1 503 No\r\nretry-after: Tuesday, or so\r\ncontent-length: 0\r\n\r\n";
    fails_with(raw(nonsense, End::Close).await, "unavailable", Some(503)).await;
}

#[tokio::test]
async fn a_redirect_to_an_internal_address_is_not_followed() {
    let mut inner = Receiver::start(Answer::Status(200)).await;
    let head = format!("HTTP/1.1 307 See\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n", inner.address);
    let bad = raw(head.leak().as_bytes(), End::Close).await;
    fails_with(bad, "redirect", Some(307)).await;
    assert!(inner.rest().is_empty());
}

#[tokio::test]
async fn one_that_answers_200_with_an_error_is_believed() {
    let sure = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nerror: hook?token=no", End::Close).await;
    let url = format!("{}hook?token=s3cret", sure.url).parse().unwrap();
    let (attempt, state) = attempt_beside_a_good_endpoint(EndpointSettings { url, ..sure }).await;
    assert_eq!((attempt.reason, attempt.status, state), (None, Some(200), DeliveryState::Done));
    assert_eq!(attempt.answer.as_deref(), Some("error: [redacted]?[redacted]=no"));
}

#[tokio::test]
async fn a_closed_port_is_a_connection_failure() {
    let gone = raw(b"", End::Close).await;
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = format!("http://{free}/").parse().unwrap();
    fails_with(EndpointSettings { url, ..gone }, "connect", None).await;
}
