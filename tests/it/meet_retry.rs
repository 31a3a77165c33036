//! Which requests are retried and when, and the waits that Google asks for.

use std::time::Duration;

use meetwatch::clock::Clock;
use meetwatch::meet::Reason;

use crate::meet_fake::{Bench, CONFERENCE, Reply, answer, error, error_body, json};

fn throttled(header: &str, delay: &str) -> Reply {
    let info = format!(r#"{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{delay}"}}"#);
    let details = if delay.is_empty() { String::new() } else { info };
    let body = format!(r#"{{"error":{{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{details}]}}}}"#);
    answer(429, "application/json", header, &body)
}

#[tokio::test]
async fn transient_failures_are_retried() {
    let bench = Bench::new().await;
    bench.fake.will([error(503, "UNAVAILABLE", ""), Reply::Close, error(500, "INTERNAL", ""), json(200, CONFERENCE)]);
    bench.get().await.unwrap();
    assert_eq!(bench.fake.asked().len(), 4);
}

#[tokio::test]
async fn a_read_says_what_it_spent_and_whose_quota_was_used_up() {
    let bench = Bench::new().await;
    bench.fake.will([throttled("", "0.1s"), error(503, "UNAVAILABLE", ""), json(200, CONFERENCE)]);
    let reading = bench.get().await.unwrap();
    assert_eq!(reading.requests, 3);
    assert!(reading.used_up.is_some(), "a retry that succeeds does not hide the refusal");
    bench.fake.will([json(200, CONFERENCE)]);
    let reading = bench.get().await.unwrap();
    assert_eq!((reading.requests, reading.used_up), (1, None));
}

#[tokio::test]
async fn the_waits_in_header_and_body_are_respected() {
    for (header, delay) in [("", "0.3s"), ("retry-after: 0\r\n", "0.3s")] {
        let bench = Bench::new().await;
        let clock = Clock::new();
        bench.fake.will([throttled(header, delay), json(200, CONFERENCE)]);
        bench.get().await.unwrap();
        assert!(clock.now().mono >= Duration::from_millis(300), "{header}{delay}");
    }
    let bench = Bench::new().await;
    let clock = Clock::new();
    bench.fake.will([throttled("retry-after: 1\r\n", ""), json(200, CONFERENCE)]);
    bench.get().await.unwrap();
    assert!(clock.now().mono >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_wait_beyond_the_limit_fails_the_read_and_pauses_the_identity() {
    for (header, delay) in [("retry-after: 90\r\n", ""), ("retry-after: 1\r\n", "90s")] {
        let bench = Bench::new().await;
        bench.fake.will([throttled(header, delay)]);
        let error = bench.get().await.unwrap_err();
        assert_eq!((error.reason, error.retry_after), (Reason::Throttled, Some(Duration::from_secs(90))));
        let again = bench.get().await.unwrap_err();
        assert_eq!((again.reason, bench.fake.asked().len()), (Reason::Throttled, 1), "nothing is sent meanwhile");
        assert_eq!(bench.metric("meetwatch_limit_reached_total", &["google_quota_wait"]), Some(1.0));
        assert_eq!(bench.metric("meetwatch_quota_available", &["user", "me"]), Some(0.0));
    }
}

#[tokio::test]
async fn an_excessive_wait_is_clamped() {
    let bench = Bench::new().await;
    bench.fake.will([throttled("retry-after: 86400\r\n", "")]);
    assert_eq!(bench.get().await.unwrap_err().retry_after, Some(Duration::from_secs(300)));
}

#[tokio::test]
async fn the_quota_is_respected_and_its_level_shown() {
    let bench = Bench::set(|google| {
        google.quota.reads_per_minute_user = 50;
        google.quota.spend = 1.0;
    })
    .await;
    assert_eq!(bench.metric("meetwatch_quota_limit", &["user", "me"]), Some(50.0));
    assert_eq!(bench.metric("meetwatch_quota_limit", &["project"]), Some(6000.0));
    assert_eq!(bench.client.limit_per_minute(&crate::meet_fake::me()).to_string(), "50");
    bench.fake.will(std::iter::repeat_n(json(200, CONFERENCE), 6));
    let clock = Clock::new();
    for _ in 0..6 {
        bench.get().await.unwrap();
    }
    // Five at once, and the sixth when the next token is there: the bucket gains 45 a minute.
    assert!(clock.now().mono >= Duration::from_millis(1200), "{:?}", clock.now().mono);
    assert_eq!(bench.metric("meetwatch_quota_available", &["user", "me"]), Some(0.0));
}

#[tokio::test]
async fn permanent_failures_are_not_retried() {
    for reply in [error(403, "PERMISSION_DENIED", ""), json(404, &error_body(404, "NOT_FOUND", "")), json(200, "no")] {
        let bench = Bench::new().await;
        bench.fake.will([reply, json(200, CONFERENCE)]);
        bench.get().await.unwrap_err();
        assert_eq!(bench.fake.asked().len(), 1);
    }
}
