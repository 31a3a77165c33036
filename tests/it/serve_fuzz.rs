//! Random requests: each gets a response without a server error, and the server keeps running.

use std::net::Ipv4Addr;

use fastrand::Rng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::serve_access::{TOKEN, on, start};

const PATHS: [&str; 21] = [
    "/metrics",
    "/livez",
    "/readyz?verbose",
    "/api/v1/status",
    "/api/v1/conferences",
    "/api/v1/conferenceRecords/{}/attendance",
    "/api/v1/attendance",
    "/api/v1/events",
    "/api/v1/deliveries",
    "/api/v1/deliveries/replay",
    "/api/v1/deliveries/{}",
    "/api/v1/endpoints",
    "/api/v1/endpoints/{}",
    "/api/v1/endpoints/{}/skipped",
    "/api/v1/endpoints/{}/enable",
    "/api/v1/endpoints/{}/disable",
    "/api/v1/endpoints/{}/test",
    "/api/v1/forget",
    "/api/v1/openapi.json",
    "/api/v1/event.schema.json",
    "/-/reload",
];
const METHODS: [&str; 9] = ["GET", "GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "PATCH", "BREW"];
const KEYS: [&str; 12] =
    ["after", "limit", "endpoint", "state", "conference", "target", "from", "to", "older_than", "x", "", "%00"];
/// The shapes of body that the API accepts.
const SHAPES: [&str; 6] = [
    r#"{"who":?,"dry_run":true}"#,
    r#"{"who":?,"dry_run":false}"#,
    r#"{"delivery":?}"#,
    r#"{"endpoint":?,"dead":true}"#,
    r#"{"endpoint":"ops","from":?,"to":?}"#,
    r#"{"from":?}"#,
];
const ODD: [&str; 22] = [
    "",
    "0",
    "-1",
    "1",
    "18446744073709551616",
    "9223372036854775807",
    "1e400",
    "null",
    "true",
    "ops",
    "dead",
    "2026-01-05T10:00:00Z",
    "-009999-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "..",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%00",
    "%ff%fe",
    "'; DROP TABLE events; --",
    "<script>",
    "{\"a\":",
    "\u{1f600}",
];

fn odd(random: &mut Rng) -> String {
    let one = ODD[random.usize(..ODD.len())].to_owned();
    if random.u8(..20) == 0 { one.repeat(random.usize(1..400)) } else { one }
}

/// Percent-encodes what may not occur in a path or a query: hyper would refuse it before a handler runs.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%:".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

fn body(random: &mut Rng) -> String {
    match random.u8(..8) {
        0 => String::new(),
        1 => odd(random),
        2 => "[".repeat(random.usize(1..2000)),
        3 | 4 => {
            let value = odd(random);
            let value = if random.u8(..4) == 0 { value } else { format!("{value:?}") };
            SHAPES[random.usize(..SHAPES.len())].replace('?', &value)
        }
        _ => {
            let field = |random: &mut Rng| {
                let keys =
                    ["endpoint", "id", "all_dead", "from", "to", "state", "who", "dry_run", "delivery", "dead", "x"];
                let value = if random.bool() { format!("{:?}", odd(random)) } else { odd(random) };
                format!("\"{}\":{value}", keys[random.usize(..keys.len())])
            };
            let fields: Vec<_> = (0..random.usize(..4)).map(|_| field(random)).collect();
            format!("{{{}}}", fields.join(","))
        }
    }
}

fn request(random: &mut Rng) -> String {
    let mut target = PATHS[random.usize(..PATHS.len())].replace("{}", &encoded(&odd(random)));
    let mut join = if target.contains('?') { '&' } else { '?' };
    for _ in 0..random.usize(..4) {
        target += &format!("{join}{}={}", KEYS[random.usize(..KEYS.len())], encoded(&odd(random)));
        join = '&';
    }
    let method = METHODS[random.usize(..METHODS.len())];
    let host = ["localhost", "127.0.0.1", "evil.example", "localhost:1"][random.usize(..4)];
    let key = match random.u8(..6) {
        0 => String::new(),
        1 => "authorization: Bearer x\r\n".to_owned(),
        2 => "authorization: Basic Og==\r\n".to_owned(),
        _ => format!("authorization: Bearer {TOKEN}\r\n"),
    };
    let origin = if random.u8(..5) == 0 { "origin: https://evil.example\r\n" } else { "" };
    let kind = ["application/json", "text/plain", "multipart/form-data"][random.usize(..3)];
    let body = body(random);
    format!(
        "{method} {target} HTTP/1.1\r\nhost: {host}\r\n{key}{origin}content-type: {kind}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn every_path_of_the_api_is_fuzzed() {
    let api: serde_json::Value = serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap();
    for path in api["paths"].as_object().unwrap().keys() {
        let path = path.replace("{id}", "{}").replace("{name}", "{}");
        assert!(PATHS.iter().any(|known| known.split('?').next() == Some(&path)), "{path}");
    }
}

#[tokio::test]
async fn every_request_is_answered_and_never_with_a_server_error() {
    let server = start(on(Ipv4Addr::LOCALHOST)).await;
    let mut random = Rng::with_seed(20_260_105);
    let mut ok = 0;
    for _ in 0..2000 {
        let request = request(&mut random);
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        // The server may answer and close before it has read a body that it refuses.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        let answer = String::from_utf8_lossy(&bytes);
        let status =
            answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse::<u16>().ok());
        let status = status.unwrap_or_else(|| panic!("no answer to {request:?}: {answer:?}"));
        assert!((200..500).contains(&status) || status == 503, "{status} to {request:?}: {answer}");
        assert!(!answer.contains(TOKEN), "the token is in the answer to {request:?}");
        ok += u32::from(status == 200);
    }
    assert!(ok > 50, "only {ok} of 2000 requests succeeded");
}
