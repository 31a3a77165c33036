//! The way out through a proxy that was configured, and through no other.

use meetwatch::clock::Clock;
use meetwatch::delivery::format::MessageBody;
use meetwatch::delivery::http::send::Sender;
use meetwatch::delivery::{EndpointSettings, Outcome, Reply, TransportFailure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::store_samples::endpoint;

/// A proxy that answers one request itself; says what it was asked.
async fn proxy(answer: &'static str) -> (std::net::SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.windows(4).any(|window| window == b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0);
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&asked).into_owned()
    });
    (address, asked)
}

async fn send(url: &str, proxy: std::net::SocketAddr) -> Reply {
    let settings = EndpointSettings {
        proxy: Some(format!("http://me:s3cretword@{proxy}").parse().unwrap()),
        ..EndpointSettings::new(endpoint("ops"), url.parse().unwrap())
    };
    assert!(!format!("{settings:?}").contains("s3cretword"));
    let body = MessageBody { content_type: "application/json", bytes: b"{}".to_vec() };
    Sender::new(&settings, Clock::new()).unwrap().send("evt_a", None, body).await
}

#[tokio::test]
async fn what_is_not_encrypted_is_handed_to_the_proxy_which_alone_looks_the_name_up() {
    let (address, asked) = proxy("HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nhi s3cretword").await;
    let reply = send("http://nowhere.invalid/hook", address).await;
    assert_eq!((reply.outcome, reply.status), (Outcome::Accepted, Some(200)));
    assert_eq!(reply.answer.as_deref(), Some("hi [redacted]"));
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("POST http://nowhere.invalid/hook HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("Basic bWU6czNjcmV0d29yZA=="), "{asked}");
}

#[tokio::test]
async fn what_is_encrypted_goes_through_a_tunnel_and_a_proxy_that_grants_none_is_no_connection() {
    let (address, asked) = proxy("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    let reply = send("https://nowhere.invalid/hook", address).await;
    assert_eq!(reply, Outcome::TransportFailed(TransportFailure::Connect).into());
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("CONNECT nowhere.invalid:443 HTTP/1.1\r\n"), "{asked}");
    assert!(!asked.contains("/hook"), "{asked}");
}
