//! A fake Google that sends prepared responses byte for byte and records the requests.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use meetwatch::backoff::Backoff;
use meetwatch::clock::Clock;
use meetwatch::meet::settings::{Credentials, GoogleSettings, IdentitySettings};
use meetwatch::meet::{Client, ClientParts, Read, ReadError, Reader, Reading, RetryPolicy};
use meetwatch::model::{ConferenceName, IdentityName};
use meetwatch::status::StatusBoard;
use prometheus::{IntCounterVec, Opts, Registry};
use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How to answer a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Send these bytes, then close the connection.
    Bytes(Vec<u8>),
    /// Close the connection without a response.
    Close,
    /// Send these bytes, which may be none, and keep the connection open.
    Stall(Vec<u8>),
}

/// A recorded request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// The path with the query.
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: String,
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Fake {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    replies: VecDeque<Reply>,
    token_replies: VecDeque<Reply>,
    asked: Vec<Asked>,
    tokens_asked: Vec<Asked>,
    tunnels: Vec<String>,
}

/// A JSON response.
pub(crate) fn json(status: u16, body: &str) -> Reply {
    answer(status, "application/json", "", body)
}

/// A response with additional header lines, each ending in `\r\n`.
pub(crate) fn answer(status: u16, kind: &str, headers: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Bytes(
        format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
        )
        .into_bytes(),
    )
}

/// An error as Google writes it.
pub(crate) fn error(code: u16, status: &str, reason: &str) -> Reply {
    json(code, &error_body(code, status, reason))
}

pub(crate) fn error_body(code: u16, status: &str, reason: &str) -> String {
    let details = if reason.is_empty() {
        String::new()
    } else {
        format!(r#","details":[{{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"{reason}"}}]"#)
    };
    format!(r#"{{"error":{{"code":{code},"message":"ada@example.com is refused","status":"{status}"{details}}}}}"#)
}

/// A token for an hour.
pub(crate) fn token(text: &str) -> Reply {
    json(200, &format!(r#"{{"access_token":"{text}","expires_in":3599,"token_type":"Bearer"}}"#))
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self { addr: listener.local_addr().unwrap(), state: Arc::default() };
        let serving = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        fake
    }

    /// Replies to API requests, in order. A request without one is answered with 599, which no test expects.
    pub(crate) fn will(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state.lock().unwrap().replies.extend(replies);
    }

    /// Replies to token requests, in order.
    pub(crate) fn will_grant(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state.lock().unwrap().token_replies.extend(replies);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    pub(crate) fn tokens_asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().tokens_asked.clone()
    }

    /// The hosts to which it was asked, as a proxy, to open a tunnel.
    pub(crate) fn tunnels(&self) -> Vec<String> {
        self.state.lock().unwrap().tunnels.clone()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    async fn serve(self, mut stream: TcpStream) {
        let Some(mut asked) = read_request(&mut stream).await else { return };
        if asked.method == "CONNECT" {
            self.state.lock().unwrap().tunnels.push(asked.path);
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let Some(within) = read_request(&mut stream).await else { return };
            asked = within;
        }
        let reply = {
            let mut state = self.state.lock().unwrap();
            if asked.path.starts_with("/token") {
                state.tokens_asked.push(asked);
                state.token_replies.pop_front()
            } else {
                state.asked.push(asked);
                state.replies.pop_front()
            }
        };
        match reply.unwrap_or_else(|| json(599, "{}")) {
            Reply::Bytes(bytes) => {
                let _gone = stream.write_all(&bytes).await;
                let _gone = stream.shutdown().await;
            }
            Reply::Close => {}
            Reply::Stall(bytes) => {
                let _gone = stream.write_all(&bytes).await;
                std::future::pending::<()>().await;
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let length: usize = header("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Asked {
        method: head.split(' ').next()?.to_owned(),
        path: head.split(' ').nth(1)?.to_owned(),
        authorization: header("authorization"),
        body: String::from_utf8_lossy(&bytes[end..]).into_owned(),
    })
}

/// A client with one identity `me` against a fake, with its metrics and status.
pub(crate) struct Bench {
    pub(crate) fake: Fake,
    pub(crate) client: Client,
    pub(crate) status: StatusBoard,
    pub(crate) registry: Registry,
    folder: tempfile::TempDir,
}

impl Bench {
    /// With the access token `T-0` in a file.
    pub(crate) async fn new() -> Self {
        Self::set(|_| {}).await
    }

    /// With other settings.
    pub(crate) async fn set(change: impl FnOnce(&mut GoogleSettings)) -> Self {
        Self::with(
            |google, _| change(google),
            |_, folder| Credentials::AccessTokenFile(written(folder, "access", "T-0")),
        )
        .await
    }

    /// With other settings, and credentials made from the fake and a folder.
    pub(crate) async fn with(
        change: impl FnOnce(&mut GoogleSettings, &Fake),
        credentials: impl FnOnce(&Fake, &Path) -> Credentials,
    ) -> Self {
        let (fake, folder) = (Fake::start().await, tempfile::tempdir().unwrap());
        let endpoint = Url::parse(&fake.url("/")).unwrap();
        let mut google =
            GoogleSettings { endpoint: endpoint.clone(), people_endpoint: endpoint, ..GoogleSettings::default() };
        change(&mut google, &fake);
        let credentials = credentials(&fake, folder.path());
        let identities = [IdentitySettings { name: me(), credentials, lookup_people: true }];
        let (registry, status) = (Registry::new(), StatusBoard::default());
        let limits = IntCounterVec::new(Opts::new("meetwatch_limit_reached_total", "x"), &["limit"]).unwrap();
        registry.register(Box::new(limits.clone())).unwrap();
        let millisecond = Duration::from_millis(1);
        let backoff = Backoff::new(millisecond, 2.0, millisecond * 4, 0.5).unwrap();
        let client = Client::new(&ClientParts {
            google: &google,
            identities: &identities,
            clock: Clock::new(),
            seed: 1,
            registry: &registry,
            limits: &limits,
            status: status.clone(),
            retry: RetryPolicy::new(backoff, 4, Duration::from_secs(5)),
        })
        .unwrap();
        Self { fake, client, status, registry, folder }
    }

    pub(crate) async fn read(&self, read: Read) -> Result<Reading, ReadError> {
        self.client.read(&me(), meetwatch::meet::Priority::Listing, &read).await
    }

    /// Reads some conference.
    pub(crate) async fn get(&self) -> Result<Reading, ReadError> {
        self.read(Read::Conference(conference())).await
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The value of the one series of this name with all these label values.
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name)?;
        let metric = family
            .get_metric()
            .iter()
            .find(|metric| labels.iter().all(|label| metric.get_label().iter().any(|pair| pair.value() == *label)))?;
        let is_counter = family.get_field_type() == prometheus::proto::MetricType::COUNTER;
        Some(if is_counter { metric.get_counter().get_value() } else { metric.get_gauge().get_value() })
    }
}

pub(crate) fn me() -> IdentityName {
    IdentityName::parse("me").unwrap()
}

pub(crate) fn conference() -> ConferenceName {
    ConferenceName::parse("conferenceRecords/c").unwrap()
}

pub(crate) const CONFERENCE: &str =
    r#"{"name":"conferenceRecords/c","startTime":"2026-01-05T10:00:00Z","space":"spaces/s"}"#;

/// Writes a file into a folder.
pub(crate) fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}
