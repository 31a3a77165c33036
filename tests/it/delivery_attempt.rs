//! One attempt over a real socket: what is sent, and the reason of each kind of failure.

use std::time::Duration;

use meetwatch::clock::Clock;
use meetwatch::delivery::format::MessageBody;
use meetwatch::delivery::http::answer;
use meetwatch::delivery::http::send::{MAX_ANSWER_BYTES, Sender};
use meetwatch::delivery::settings::{AnswerPattern, AnswerPatterns};
use meetwatch::delivery::sign::SigningSecret;
use meetwatch::delivery::{EndpointSettings, FailureReason, Outcome, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::store_samples::event;
use crate::webhook_receiver::{Answer, Receiver};

/// What happens to a connection after the receiver wrote its answer.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Close,
    Hang,
    /// Writes one byte every 20 ms.
    Drip,
    Repeat,
}

/// Starts a receiver that answers every connection with these bytes.
pub(crate) async fn raw(bytes: &'static [u8], end: End) -> EndpointSettings {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream, bytes, end));
        }
    });
    EndpointSettings { url: format!("http://{address}/").parse().unwrap(), ..template().await }
}

async fn talk(mut stream: TcpStream, bytes: &'static [u8], end: End) {
    let _ = stream.read(&mut [0; 4096]).await;
    let _ = stream.write_all(bytes).await;
    match end {
        End::Close => {}
        End::Hang => std::future::pending().await,
        End::Drip => {
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        End::Repeat => while stream.write_all(&[b'x'; 65_536]).await.is_ok() {},
    }
}

async fn template() -> EndpointSettings {
    Receiver::start(Answer::Status(204)).await.endpoint("ops")
}

async fn send(settings: &EndpointSettings) -> Reply {
    let sender = Sender::new(settings, Clock::new()).unwrap();
    let body =
        MessageBody { content_type: "application/json", bytes: br#"{"data":{"schema":1,"sequence":1}}"#.to_vec() };
    sender.send(event("c", 1, &[]).id.as_str(), Some(&event("c", 9, &[]).id), body).await
}

async fn failure(settings: &EndpointSettings) -> (FailureReason, Option<u16>) {
    let reply = send(settings).await;
    (reply.outcome.reason().unwrap(), reply.status)
}

#[tokio::test]
async fn an_attempt_has_headers_for_id_timestamp_signatures_and_the_previous_event() {
    let mut receiver = Receiver::start(Answer::Status(200)).await;
    let mut settings = receiver.endpoint("ops");
    settings.secrets.insert(0, SigningSecret::from_bytes(vec![9; 24]).unwrap());
    assert_eq!(send(&settings).await, answer::reply(200, None));
    let got = receiver.next().await;
    assert_eq!(got.id, event("c", 1, &[]).id.as_str());
    assert_eq!(got.previous.as_deref(), Some(event("c", 9, &[]).id.as_str()));
    assert_eq!(got.headers["content-type"], "application/json");
    assert!(got.headers["user-agent"].to_str().unwrap().starts_with("meetwatch/"));
    assert_eq!(got.headers["webhook-signature"].to_str().unwrap().split(' ').count(), 2);
}

#[tokio::test]
async fn statuses_are_returned_and_redirects_are_not_followed() {
    let mut receiver = Receiver::start(Answer::Status(302)).await;
    let settings = receiver.endpoint("ops");
    for status in [302, 404, 410, 500] {
        receiver.answer(Answer::Status(status));
        assert_eq!(send(&settings).await, answer::reply(status, None));
    }
    assert_eq!(receiver.rest().len(), 4);
    let inner = raw(b"HTTP/1.1 307 See\r\nlocation: /inner\r\ncontent-length: 0\r\n\r\n", End::Close).await;
    assert_eq!(send(&inner).await, answer::reply(307, None));
}

#[tokio::test]
async fn a_valid_retry_after_is_read_and_an_invalid_one_ignored() {
    let asked = raw(b"HTTP/1.1 503 No\r\nretry-after: 17\r\ncontent-length: 0\r\n\r\n", End::Close).await;
    let retry_after = Some(Duration::from_secs(17));
    assert_eq!(send(&asked).await, answer::reply(503, retry_after));
    let nonsense = raw(b"HTTP/1.1 429 No\r\nretry-after: \xff later\r\ncontent-length: 0\r\n\r\n", End::Close).await;
    assert_eq!(send(&nonsense).await, answer::reply(429, None));
}

#[tokio::test]
async fn connection_dns_and_tls_failures_have_different_reasons() {
    let mut settings = template().await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    settings.url = format!("http://{free}/").parse().unwrap();
    assert_eq!(failure(&settings).await, (FailureReason::Connect, None));
    settings.url = "http://no-such-host.invalid/".parse().unwrap();
    assert_eq!(failure(&settings).await, (FailureReason::Dns, None));
    let plain = raw(b"HTTP/1.1 400 This is no TLS\r\n\r\n", End::Close).await;
    settings.url = plain.url.as_str().replace("http:", "https:").parse().unwrap();
    assert_eq!(failure(&settings).await, (FailureReason::Tls, None));
}

#[tokio::test]
async fn a_receiver_that_does_not_finish_its_answer_costs_the_timeout_and_no_more() {
    let timeout = Duration::from_millis(200);
    let silent = EndpointSettings { timeout, ..raw(b"", End::Hang).await };
    assert_eq!(failure(&silent).await, (FailureReason::Timeout, None));
}

async fn taken(settings: &EndpointSettings) -> Option<String> {
    let reply = send(settings).await;
    assert_eq!((reply.outcome, reply.status), (Outcome::Accepted, Some(200)));
    reply.answer.map(String::from)
}

#[tokio::test]
async fn a_2xx_head_is_a_success_whatever_body_follows() {
    let timeout = Duration::from_millis(200);
    let half: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
    let hangs = EndpointSettings { timeout, ..raw(half, End::Hang).await };
    assert_eq!(taken(&hangs).await.unwrap(), "half [the answer did not end in time]");
    assert_eq!(taken(&raw(half, End::Close).await).await.unwrap(), "half [the answer broke off]");
    let chunks = raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\nok", End::Close).await;
    assert_eq!(taken(&chunks).await.unwrap(), "[the answer broke off]");
    let endless = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n", End::Repeat).await;
    assert!(taken(&endless).await.unwrap().ends_with("xx [the answer is longer than 1 MiB]"));
    const { assert!(MAX_ANSWER_BYTES <= 1 << 20) };
}

#[tokio::test]
async fn the_head_of_a_failure_counts_too_when_its_body_breaks_off() {
    let busy = raw(b"HTTP/1.1 429 No\r\nretry-after: 17\r\ncontent-length: 9\r\n\r\nhalf", End::Close).await;
    let reply = send(&busy).await;
    assert_eq!((reply.outcome, reply.status), (Outcome::Busy { wait: Some(Duration::from_secs(17)) }, Some(429)));
}

#[tokio::test]
async fn odd_headers_make_no_failure_of_a_2xx() {
    let many: String = (0..400).map(|number| format!("x-{number}: y\r\n")).collect();
    for odd in ["x-folded: a\r\n b\r\n", "x-spaced : a\r\n", "no colon at all\r\n", "x-\u{e9}: a\r\n", &many] {
        let answer = format!("HTTP/1.1 200 OK\r\n{odd}content-length: 2\r\n\r\nok");
        let receiver = raw(answer.leak().as_bytes(), End::Close).await;
        assert_eq!(taken(&receiver).await.as_deref(), Some("ok"), "{odd}");
    }
}

#[tokio::test]
async fn a_2xx_whose_body_says_that_it_failed_is_a_failure() {
    let pattern = |text| Some(AnswerPattern::parse(text).unwrap());
    let success = AnswerPatterns { success: pattern(r#""errcode":\s*0\b"#), failure: None };
    let failure = AnswerPatterns { success: None, failure: pattern(r"failed with [45]\d\d") };
    let limited: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 18\r\n\r\n{\"errcode\": 45009}";
    let teams: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 27\r\n\r\nDelivery failed with 429, x";
    for (body, answers) in [(limited, &success), (teams, &failure)] {
        let settings = EndpointSettings { answers: answers.clone(), ..raw(body, End::Close).await };
        let reply = send(&settings).await;
        assert_eq!((reply.outcome, reply.status), (Outcome::BodyFailed, Some(200)));
        assert_eq!(reply.outcome.reason().unwrap().as_str(), "body_failure");
        assert!(reply.answer.is_some());
    }
    let well: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"errcode\": 0}";
    for (body, answers) in [(well, success), (b"HTTP/1.1 204 OK\r\n\r\n", failure)] {
        let settings = EndpointSettings { answers, ..raw(body, End::Close).await };
        assert_eq!(send(&settings).await.outcome, Outcome::Accepted);
    }
}

#[tokio::test]
async fn a_truncated_head_and_an_answer_that_is_not_http_are_interrupted() {
    let cut = raw(b"HTTP/1.1 200 OK\r\ncontent-le", End::Close).await;
    assert_eq!(failure(&cut).await, (FailureReason::Interrupted, None));
    let babble = raw(b"SSH-2.0-OpenSSH_9.9\r\n", End::Close).await;
    assert_eq!(failure(&babble).await, (FailureReason::Interrupted, None));
    let nothing = raw(b"", End::Close).await;
    assert_eq!(failure(&nothing).await, (FailureReason::Interrupted, None));
}

#[tokio::test]
async fn the_debug_forms_of_settings_and_sender_show_neither_address_nor_secrets() {
    let settings = template().await;
    let shown = format!("{settings:?} {:?}", Sender::new(&settings, Clock::new()).unwrap());
    assert!(!shown.contains("s3cret") && !shown.contains("hook?"), "{shown}");
}
