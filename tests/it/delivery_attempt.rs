//! One attempt over a real socket: what is sent, and the reason of each kind of failure.

use std::time::Duration;

use meetwatch::clock::Clock;
use meetwatch::delivery::format::MessageBody;
use meetwatch::delivery::http::answer;
use meetwatch::delivery::http::send::{MAX_ANSWER_BYTES, Sender};
use meetwatch::delivery::sign::SigningSecret;
use meetwatch::delivery::{EndpointSettings, FailureReason, Reply};
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
    let half =
        EndpointSettings { timeout, ..raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", End::Hang).await };
    assert_eq!(failure(&half).await.0, FailureReason::Timeout);
}

#[tokio::test]
async fn an_endless_answer_is_cut_at_the_size_limit() {
    let endless = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n", End::Repeat).await;
    assert_eq!(failure(&endless).await, (FailureReason::BodyTooLarge, Some(200)));
    const { assert!(MAX_ANSWER_BYTES <= 1 << 20) };
}

#[tokio::test]
async fn a_truncated_answer_and_one_that_is_not_http_are_interrupted() {
    let cut = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", End::Close).await;
    assert_eq!(failure(&cut).await, (FailureReason::Interrupted, Some(200)));
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
