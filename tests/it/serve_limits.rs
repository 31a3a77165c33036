//! Clients that are slow, send too much, are too many, or are gone: each is answered or cut, and a stop ends in bounded time.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::serve_access::{Running, TOKEN, on, start};

const REQUEST: &[u8] = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Longer than anything here takes, in real or in paused time.
const LONG: Duration = Duration::from_secs(3600);

async fn connected(server: &Running, sent: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    stream
}

/// Reads until the connection is closed.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset closes it as well.
    let _ = timeout(LONG, stream.read_to_end(&mut bytes)).await.expect("the connection is never closed");
    String::from_utf8(bytes).unwrap()
}

/// Reads the head and the body of one response.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = vec![0; 4096];
    let mut length = 0;
    while !bytes[..length].ends_with(b"}") {
        let read = stream.read(&mut bytes[length..]).await.unwrap();
        assert!(read > 0, "the connection was closed before the response");
        length += read;
    }
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

#[tokio::test(start_paused = true)]
async fn a_head_that_never_ends_is_cut() {
    let server = start(on(Ipv4Addr::LOCALHOST)).await;
    let mut stream = connected(&server, b"GET /livez HTTP/1.1\r\nhost: loc").await;
    assert!(!rest(&mut stream).await.contains("200 OK"));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    let server = start(on(Ipv4Addr::LOCALHOST)).await;
    let mut stream = connected(&server, REQUEST).await;
    // Shorter than the maximal age of a connection.
    let rest = timeout(Duration::from_secs(60), rest(&mut stream))
        .await
        .expect("an idle connection is not closed within 60 s");
    assert!(rest.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn a_head_with_too_many_bytes_or_fields_is_refused() {
    let server = start(on(Ipv4Addr::LOCALHOST)).await;
    let head = format!("GET /livez HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "a".repeat(20 << 10));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // The server may close before it has read it all.
    let _ = stream.write_all(head.as_bytes()).await;
    assert!(!rest(&mut stream).await.contains("200 OK"));
    let many: String = (0..100).map(|n| format!("x{n}: 1\r\n")).collect();
    let mut stream = connected(&server, format!("GET /livez HTTP/1.1\r\nhost: a\r\n{many}\r\n").as_bytes()).await;
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn invalid_http_is_not_answered_with_success() {
    let server = start(on(Ipv4Addr::LOCALHOST)).await;
    for sent in [
        &b"\x16\x03\x01\x00\xa5\x01\x00\x00"[..],
        b"GET /livez\r\n\r\n",
        b"GET /livez HTTP/9.9\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let mut stream = connected(&server, sent).await;
        stream.shutdown().await.unwrap();
        assert!(!rest(&mut stream).await.contains("200 OK"), "{sent:?}");
    }
}

#[tokio::test]
async fn a_new_connection_evicts_the_longest_idle_one_when_all_slots_are_taken() {
    let server = start(on(Ipv4Addr::LOCALHOST)).await;
    let mut held = Vec::new();
    for number in 0..256 {
        // Its response shows that it was accepted. Half of them send the beginning of another request.
        let mut stream = connected(&server, REQUEST).await;
        answer(&mut stream).await;
        if number % 2 == 0 {
            stream.write_all(b"GET /livez HTTP/1.1\r\nhost: loc").await.unwrap();
        }
        held.push(stream);
    }
    let counted = |times: u32| {
        let text = prometheus::TextEncoder::new().encode_to_string(&server.registry.gather()).unwrap();
        text.contains(&format!("meetwatch_limit_reached_total{{limit=\"http_connections\"}} {times}\n"))
    };
    assert!(counted(0));
    for number in 0..3 {
        let mut newcomer = connected(&server, REQUEST).await;
        assert!(timeout(LONG, answer(&mut newcomer)).await.unwrap().starts_with("HTTP/1.1 200 OK"));
        assert_eq!(rest(&mut held[number]).await, "", "the connection that was idle for the longest is not evicted");
        held.push(newcomer);
    }
    assert!(counted(3));
    for stream in &mut held[3..] {
        let early = timeout(Duration::ZERO, stream.read_u8()).await;
        assert!(early.is_err(), "a new connection evicted more than one");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_in_bounded_time_and_closes_the_port() {
    let server = start(on(Ipv4Addr::LOCALHOST)).await;
    let mut idle = connected(&server, REQUEST).await;
    answer(&mut idle).await;
    let mut half = connected(&server, b"GET /livez HTTP/1.1\r\nhost: loc").await;
    server.readiness.set_store_open(true);
    assert_eq!(server.status("/readyz", &[]).await, reqwest::StatusCode::OK);
    server.cancel.cancel();
    timeout(Duration::from_secs(10), server.task).await.expect("the server does not stop within 10 s").unwrap();
    assert_eq!(rest(&mut idle).await, "");
    assert!(!rest(&mut half).await.contains("200 OK"));
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_head_that_arrives_byte_by_byte_is_cut_as_well() {
    let server = start(on(Ipv4Addr::LOCALHOST)).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let sending = async {
        for byte in REQUEST {
            tokio::time::sleep(Duration::from_secs(5)).await;
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
        // The last writes went to a connection that was closed already.
        assert!(!rest(&mut stream).await.contains("200 OK"));
    };
    timeout(LONG, sending).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_or_is_too_large_is_refused() {
    let server = start(on(Ipv4Addr::LOCALHOST)).await;
    let head = |length| {
        format!(
            "POST /api/v1/deliveries/replay HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    let mut slow = connected(&server, format!("{}{{", head(100)).as_bytes()).await;
    let response = timeout(Duration::from_secs(60), answer(&mut slow))
        .await
        .expect("the server waits longer than 60 s for the body");
    assert!(response.starts_with("HTTP/1.1 408"), "{response}");
    let mut large = connected(&server, format!("{}{}", head(20 << 10), "a".repeat(20 << 10)).as_bytes()).await;
    assert!(answer(&mut large).await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn a_thousand_silent_connections_do_not_block_later_ones_or_the_stop() {
    let server = start(on(Ipv4Addr::LOCALHOST)).await;
    let mut held = Vec::new();
    for _ in 0..1000 {
        held.push(timeout(Duration::from_secs(30), TcpStream::connect(server.address)).await.unwrap().unwrap());
    }
    drop(held);
    let mut stream = timeout(Duration::from_secs(30), connected(&server, REQUEST)).await.unwrap();
    assert!(timeout(Duration::from_secs(30), answer(&mut stream)).await.unwrap().starts_with("HTTP/1.1 200 OK"));
    server.cancel.cancel();
    timeout(Duration::from_secs(10), server.task).await.expect("a connection is still held").unwrap();
}

#[tokio::test]
async fn a_scrape_during_the_stop_is_complete_or_fails() {
    let server = start(on(Ipv4Addr::LOCALHOST)).await;
    let url = format!("http://{}/metrics", server.address);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let scrapes: Vec<_> = (0..50).map(|_| tokio::spawn(client.get(&url).send())).collect();
    tokio::task::yield_now().await;
    server.cancel.cancel();
    for scrape in scrapes {
        let Ok(answer) = scrape.await.unwrap() else { continue };
        assert_eq!(answer.status(), 200);
        let Ok(text) = answer.text().await else { continue };
        assert!(
            text.contains("meetwatch_build_info") && text.ends_with('\n'),
            "the response was cut, and the client saw no error"
        );
    }
    timeout(Duration::from_secs(10), server.task).await.expect("the server does not stop within 10 s").unwrap();
}
