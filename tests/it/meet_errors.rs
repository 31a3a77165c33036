//! Every kind of failed response, from Google or from a proxy in between, has its own reason, metric and remedy.

use std::time::Duration;

use meetwatch::meet::Reason;

use crate::meet_fake::{Bench, CONFERENCE, Reply, answer, error, json};

/// The error of a read if every attempt gets this reply.
async fn refused(reply: Reply) -> (meetwatch::meet::ReadError, Bench) {
    let bench = Bench::new().await;
    bench.fake.will(std::iter::repeat_n(reply, 8));
    (bench.get().await.unwrap_err(), bench)
}

#[tokio::test]
async fn each_error_has_its_reason_its_metric_and_its_remedy() {
    for (reply, reason, attempts) in [
        (error(400, "INVALID_ARGUMENT", ""), Reason::BadRequest, 1),
        (error(403, "PERMISSION_DENIED", ""), Reason::NoAccess, 1),
        (error(403, "PERMISSION_DENIED", "SERVICE_DISABLED"), Reason::ApiDisabled, 1),
        (error(403, "PERMISSION_DENIED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"), Reason::ScopeMissing, 1),
        (error(404, "NOT_FOUND", ""), Reason::NotFound, 1),
        (error(500, "INTERNAL", ""), Reason::Server, 4),
        (error(503, "UNAVAILABLE", ""), Reason::Server, 4),
        (answer(502, "text/html", "", "<html>Bad Gateway</html>"), Reason::Server, 4),
        (Reply::Close, Reason::Network, 4),
        (answer(302, "text/html", "location: http://127.0.0.1:1/\r\n", ""), Reason::Malformed, 1),
    ] {
        let told = format!("{reply:?}");
        let (error, bench) = refused(reply).await;
        assert_eq!(error.reason, reason, "{told}");
        assert_eq!(bench.fake.asked().len(), attempts, "{told}");
        assert_eq!(error.remedy.is_empty(), matches!(reason, Reason::Server), "{told}");
        assert!(!error.to_string().contains("ada"), "{error}");
        let labels = ["conferenceRecords.get", "me", reason.as_str()];
        assert_eq!(bench.metric("meetwatch_api_request_failures_total", &labels), Some(attempts as f64), "{told}");
        assert_eq!(bench.metric("meetwatch_api_requests_total", &labels[..1]), Some(attempts as f64), "{told}");
    }
}

#[tokio::test]
async fn a_response_that_is_not_as_documented_is_malformed() {
    let cut = |length: usize, body: &str| {
        Reply::Bytes(
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
                .into(),
        )
    };
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\n{\"name\":".to_vec();
    for (reply, detail) in [
        (answer(200, "text/html", "", "<html>Sign in to the network</html>"), "the response is HTML instead of JSON"),
        (json(200, r#"{"name":"conferenceRecords/c""#), "the JSON is cut off, at line 1 column 29"),
        (json(200, "Ada"), "the response is not JSON, at line 1 column 1"),
        (json(200, r#"{"name":["Ada"]}"#), "the JSON has another structure than documented, at line 1 column 8"),
        (json(200, ""), "the JSON is cut off, at line 1 column 0"),
        (
            json(200, r#"{"name":"users/ada","startTime":"2026-01-05T10:00:00Z"}"#),
            "the response has an unreadable conference record name",
        ),
        (json(200, r#"{"name":"conferenceRecords/c"}"#), "the response has an unreadable start time of a conference"),
        (cut(500, CONFERENCE), "the response body was cut off"),
        (Reply::Bytes(chunked), "the response body was cut off"),
    ] {
        let told = format!("{reply:?}");
        let (error, bench) = refused(reply).await;
        assert_eq!((error.reason, error.detail.as_str()), (Reason::Malformed, detail), "{told}");
        assert_eq!(bench.fake.asked().len(), 1, "{told}");
        let labels = ["conferenceRecords.get", "me", "malformed"];
        assert_eq!(bench.metric("meetwatch_api_request_failures_total", &labels), Some(1.0), "{told}");
    }
}

#[tokio::test]
async fn a_body_over_the_cap_is_not_read() {
    let small = || Bench::set(|google| google.max_body_bytes = 1000);
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(2000));
    let endless = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n800\r\n{}\r\n", "x".repeat(2048));
    for reply in [json(200, &large), Reply::Bytes(endless.into())] {
        let bench = small().await;
        bench.fake.will([reply]);
        let error = bench.get().await.unwrap_err();
        assert_eq!(
            (error.reason, error.detail.as_str()),
            (Reason::Malformed, "the response body is larger than the limit")
        );
        assert_eq!(bench.metric("meetwatch_limit_reached_total", &["google_body"]), Some(1.0));
    }
}

#[tokio::test]
async fn no_response_in_time_is_a_timeout() {
    let bench = Bench::set(|google| google.timeout = Duration::from_millis(50)).await;
    let half_way = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{".to_vec();
    bench.fake.will([vec![], half_way.clone(), vec![], half_way].map(Reply::Stall));
    assert_eq!(bench.get().await.unwrap_err().reason, Reason::Timeout);
    assert_eq!(bench.fake.asked().len(), 4);
}

#[tokio::test]
async fn a_refused_connection_is_a_network_error() {
    let bench = Bench::set(|google| google.endpoint = "http://127.0.0.1:1/".parse().unwrap()).await;
    let error = bench.get().await.unwrap_err();
    assert_eq!(error.reason, Reason::Network);
    assert!(error.detail.starts_with("cannot connect: ") && error.detail.contains("refused"), "{error}");
}

#[tokio::test]
async fn only_its_own_failures_take_an_identity_down_and_success_brings_it_up() {
    let bench = Bench::new().await;
    let up = || (bench.status.read().identities["me"].up, bench.metric("meetwatch_identity_up", &["me"]));
    assert_eq!(up(), (None, Some(0.0)));
    bench.fake.will([
        json(200, CONFERENCE),
        error(404, "NOT_FOUND", ""),
        error(403, "PERMISSION_DENIED", "SERVICE_DISABLED"),
        json(200, CONFERENCE),
    ]);
    bench.get().await.unwrap();
    bench.get().await.unwrap_err();
    assert_eq!(up(), (Some(true), Some(1.0)));
    bench.get().await.unwrap_err();
    assert_eq!(up(), (Some(false), Some(0.0)));
    let status = bench.status.read().identities["me"].clone();
    assert_eq!(status.reason, Some("api_disabled"));
    assert!(status.remedy.unwrap().contains("enable the Google Meet API"));
    bench.get().await.unwrap();
    assert_eq!(up(), (Some(true), Some(1.0)));
}

#[tokio::test]
async fn a_read_for_an_unknown_identity_is_an_error() {
    use meetwatch::meet::{Priority, Read, Reader};
    let bench = Bench::new().await;
    let other = meetwatch::model::IdentityName::parse("other").unwrap();
    let read = Read::Conference(crate::meet_fake::conference());
    let error = bench.client.read(&other, Priority::Listing, &read).await.unwrap_err();
    assert_eq!((error.reason, error.detail.as_str()), (Reason::Credentials, "no identity has this name"));
}
