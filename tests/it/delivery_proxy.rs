//! Deliveries through a configured proxy.

use meetwatch::clock::Clock;
use meetwatch::delivery::format::MessageBody;
use meetwatch::delivery::http::send::Sender;
use meetwatch::delivery::{EndpointSettings, Outcome, Reply, TransportFailure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::store_samples::endpoint;

/// Starts a proxy that answers one request itself. The task returns the request.
async fn proxy(answer: &'static str) -> (std::net::SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let request = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.windows(4).any(|window| window == b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&request).into_owned()
    });
    (address, request)
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
async fn a_plain_http_delivery_is_sent_to_the_proxy_which_resolves_the_host() {
    let (address, request) = proxy("HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nhi s3cretword").await;
    let reply = send("http://nowhere.invalid/hook", address).await;
    assert_eq!((reply.outcome, reply.status), (Outcome::Accepted, Some(200)));
    assert_eq!(reply.answer.as_deref(), Some("hi [redacted]"));
    let request = request.await.unwrap();
    assert!(request.starts_with("POST http://nowhere.invalid/hook HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("Basic bWU6czNjcmV0d29yZA=="), "{request}");
}

#[tokio::test]
async fn an_https_delivery_needs_a_tunnel_and_a_refused_tunnel_is_a_connection_failure() {
    let (address, request) = proxy("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    let reply = send("https://nowhere.invalid/hook", address).await;
    assert_eq!(reply, Outcome::TransportFailed(TransportFailure::Connect).into());
    let request = request.await.unwrap();
    assert!(request.starts_with("CONNECT nowhere.invalid:443 HTTP/1.1\r\n"), "{request}");
    assert!(!request.contains("/hook"), "{request}");
}
