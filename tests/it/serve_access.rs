//! Access to the HTTP server: which paths need a key, and the form of the responses.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use meetwatch::clock::Clock;
use meetwatch::delivery::LearnedLimits;
use meetwatch::heartbeat::{Heartbeat, Liveness, WatchedLoop};
use meetwatch::model::{ConferenceName, EndpointName, IdentityName, TargetName};
use meetwatch::serve::{
    ApiContext, BindError, BoundSocket, EndpointTester, Expose, Listen, LiveConfig, LiveConfigCell, NotReloaded,
    Readiness, Reload, Server, ServerParts, ServerSettings, TestReport, metrics,
};
use meetwatch::status::{ConferenceStatus, IdentityStatus, StatusBoard};
use meetwatch::store::{Store, StoreMetrics};
use prometheus::Registry;
use reqwest::{Client, Method, Response, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const TOKEN: &str = "a-token-of-some-length";

/// A server that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) board: StatusBoard,
    pub(crate) readiness: Readiness,
    pub(crate) registry: Registry,
    pub(crate) cancel: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

/// Knows no endpoint. Keeps the folder of the store for as long as the server.
struct NoEndpoint {
    _folder: tempfile::TempDir,
}

impl EndpointTester for NoEndpoint {
    fn test(&self, _: EndpointName) -> Pin<Box<dyn Future<Output = Option<TestReport>> + Send>> {
        Box::pin(async { None })
    }
}

fn api_context() -> (ApiContext, Arc<NoEndpoint>) {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::new();
    let metrics = StoreMetrics::register(&Registry::new()).unwrap();
    let store = Store::open(&folder.path().join("m.db"), clock, metrics).unwrap();
    (ApiContext { store, clock }, Arc::new(NoEndpoint { _folder: folder }))
}

/// Refuses every reload, as a daemon that is stopping does.
struct NoReload;

impl Reload for NoReload {
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<Vec<String>, NotReloaded>> + Send>> {
        Box::pin(async { Err(NotReloaded::Unavailable("the daemon is stopping".to_owned())) })
    }
}

pub(crate) fn parts(settings: &ServerSettings) -> ServerParts {
    let (registry, board) = (Registry::new(), StatusBoard::default());
    metrics::register(&registry, &board, 1000).unwrap();
    let limit_reached = metrics::limit_reached(&registry).unwrap();
    let (api, tester) = api_context();
    let live_config =
        LiveConfigCell::new(LiveConfig::new(settings, SecretString::from(TOKEN), Vec::new(), tester).unwrap());
    let readiness = Readiness::default();
    let liveness = Liveness::new(Vec::new(), api.clock.mono());
    ServerParts {
        registry,
        board,
        readiness,
        liveness,
        limit_reached,
        live_config,
        api,
        endpoint_limits: Arc::new(LearnedLimits::default()),
        reload: Arc::new(NoReload),
    }
}

/// A server that listens and does not answer yet.
pub(crate) async fn bound(settings: &ServerSettings) -> Result<Server, BindError> {
    Ok(Server::new(BoundSocket::bind(settings)?, parts(settings)))
}

pub(crate) async fn start(settings: ServerSettings) -> Running {
    let parts = parts(&settings);
    start_with(&settings, parts).await
}

/// Serves what the test has made.
pub(crate) async fn start_with(settings: &ServerSettings, parts: ServerParts) -> Running {
    let (board, readiness, registry) = (parts.board.clone(), parts.readiness.clone(), parts.registry.clone());
    let server = Server::new(BoundSocket::bind(settings).unwrap(), parts);
    let Listen::Tcp(bound) = server.listens_on() else { panic!("it does not listen on TCP") };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, bound.port()));
    let cancel = CancellationToken::new();
    let task = tokio::spawn(server.run(cancel.clone()));
    Running { address, board, readiness, registry, cancel, task }
}

pub(crate) fn on(address: Ipv4Addr) -> ServerSettings {
    ServerSettings { listen: SocketAddr::from((address, 0)).into(), ..ServerSettings::default() }
}

impl Running {
    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        self.send(Method::GET, path, headers).await
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
        let client = Client::builder().no_proxy().build().unwrap();
        let mut request = client.request(method, format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    pub(crate) async fn status(&self, path: &str, headers: &[(&str, &str)]) -> StatusCode {
        self.get(path, headers).await.status()
    }
}

async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

fn bearer() -> (&'static str, &'static str) {
    ("authorization", concat!("Bearer ", "a-token-of-some-length"))
}

#[tokio::test]
async fn on_loopback_metrics_and_health_need_no_key_and_the_api_does() {
    let server = start(on(Ipv4Addr::LOCALHOST)).await;
    assert_eq!(server.status("/livez", &[]).await, StatusCode::OK);
    assert_eq!(server.status("/metrics", &[]).await, StatusCode::OK);
    let refused = server.get("/api/v1/status", &[]).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers()["www-authenticate"], "Bearer realm=\"meetwatch\"");
    assert!(json_of(refused).await["error"].as_str().unwrap().contains("token"));
    assert_eq!(server.status("/api/v1/status", &[bearer()]).await, StatusCode::OK);
}

#[tokio::test]
async fn beyond_loopback_only_what_is_exposed_needs_no_key() {
    let server = start(on(Ipv4Addr::UNSPECIFIED)).await;
    for path in ["/metrics", "/livez", "/readyz", "/readyz?verbose"] {
        assert_eq!(server.status(path, &[]).await, StatusCode::UNAUTHORIZED, "{path}");
        assert_ne!(server.status(path, &[bearer()]).await, StatusCode::UNAUTHORIZED, "{path}");
        let wrong = ("authorization", "Bearer a-token-of-some-lengtH");
        assert_eq!(server.status(path, &[wrong]).await, StatusCode::UNAUTHORIZED, "{path}");
    }
    let expose = Expose { metrics: true, health: false };
    let server = start(ServerSettings { expose, ..on(Ipv4Addr::UNSPECIFIED) }).await;
    assert_eq!(server.status("/metrics", &[]).await, StatusCode::OK);
    assert_eq!(server.status("/livez", &[]).await, StatusCode::UNAUTHORIZED);
    assert_eq!(server.status("/api/v1/status", &[]).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_request_for_another_host_or_from_another_origin_is_refused_even_with_the_token() {
    let hosts = vec!["meet.example.com".to_owned()];
    let server = start(ServerSettings { hosts, ..on(Ipv4Addr::LOCALHOST) }).await;
    let foreign = [("host", "evil.example"), ("origin", "http://evil.example"), ("origin", "null")];
    for header in foreign {
        assert_eq!(server.status("/api/v1/status", &[bearer(), header]).await, StatusCode::FORBIDDEN, "{header:?}");
    }
    let own = format!("http://{}", server.address);
    assert_eq!(server.status("/api/v1/status", &[bearer(), ("origin", &own)]).await, StatusCode::OK);
    let named = [bearer(), ("host", "meet.example.com"), ("origin", "https://meet.example.com")];
    assert_eq!(server.status("/api/v1/status", &named).await, StatusCode::OK);
}

#[tokio::test]
async fn readyz_needs_an_open_store_and_no_stop() {
    let server = start(on(Ipv4Addr::LOCALHOST)).await;
    assert_eq!(server.status("/readyz", &[]).await, StatusCode::SERVICE_UNAVAILABLE);
    server.readiness.set_store_open(true);
    let ready = server.get("/readyz", &[]).await;
    assert_eq!(ready.status(), StatusCode::OK);
    assert_eq!(json_of(ready).await, json!({"ready": true, "store": true, "listener": true, "stopping": false}));
    server.readiness.set_stopping();
    assert_eq!(server.status("/readyz", &[]).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(server.status("/livez", &[]).await, StatusCode::OK);
}

#[tokio::test]
async fn a_loop_that_is_stalled_makes_livez_and_readyz_answer_503_with_its_name() {
    let settings = on(Ipv4Addr::LOCALHOST);
    let mut parts = parts(&settings);
    let heartbeat = Heartbeat::default();
    let polling = WatchedLoop { name: "polling", heartbeat: heartbeat.clone(), deadline: Duration::ZERO };
    // The store's and the readiness's part is well; the watchdog began a moment ago.
    parts.readiness.set_store_open(true);
    parts.liveness = Liveness::new(vec![polling], Duration::ZERO);
    let readiness = parts.readiness.clone();
    let server = start_with(&settings, parts).await;
    let live = server.get("/livez", &[]).await;
    assert_eq!(live.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(json_of(live).await, json!({"alive": false, "stalled": ["polling"]}));
    let ready = server.get("/readyz", &[]).await;
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(json_of(ready).await["stalled"], json!(["polling"]));
    heartbeat.beat(Duration::from_secs(3600));
    assert_eq!(server.status("/livez", &[]).await, StatusCode::OK, "it goes on");
    assert_eq!(server.status("/readyz", &[]).await, StatusCode::OK);
    heartbeat.beat(Duration::ZERO);
    readiness.set_stopping();
    assert_eq!(server.status("/livez", &[]).await, StatusCode::OK, "at a stop the loops end one after the other");
}

#[tokio::test]
async fn readyz_verbose_shows_the_state_of_each_identity() {
    let server = start(on(Ipv4Addr::LOCALHOST)).await;
    let failing = IdentityStatus { up: Some(false), reason: Some("delegation"), remedy: Some("allow the scope") };
    server.board.write().identities.insert(IdentityName::parse("organizer").unwrap(), failing);
    let verbose = json_of(server.get("/readyz?verbose", &[]).await).await;
    let wanted = json!({"up": false, "reason": "delegation", "remedy": "allow the scope"});
    assert_eq!(verbose["identities"]["organizer"], wanted);
    assert!(json_of(server.get("/readyz", &[]).await).await.get("identities").is_none());
}

#[tokio::test]
async fn the_status_counts_live_conferences_and_present_participants() {
    let server = start(on(Ipv4Addr::LOCALHOST)).await;
    let conference = ConferenceStatus {
        targets: vec![TargetName::parse("board").unwrap()],
        start: jiff::Timestamp::UNIX_EPOCH,
        last_read: None,
        present: [3, 1, 0, 0],
        open_sessions: 5,
        sequence: 1,
    };
    server.board.write().conferences.insert(ConferenceName::parse("conferenceRecords/a").unwrap(), conference);
    let status = json_of(server.get("/api/v1/status", &[bearer()]).await).await;
    assert_eq!(status["conferences_live"], 1);
    assert_eq!(status["participants"], json!({"signed_in": 3, "anonymous": 1, "phone": 0, "unknown": 0}));
    assert_eq!(status["targets"]["board"], json!({"conferences_live": 1, "participants": 4, "last_discovery": null}));
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_in_json() {
    let server = start(on(Ipv4Addr::LOCALHOST)).await;
    for path in ["/", "/metrics/", "/api/v1", "/..%2fmetrics", "//metrics", "/metrics%00"] {
        let missing = server.get(path, &[]).await;
        assert_eq!(missing.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(missing.headers()["content-type"], "application/json", "{path}");
    }
    for path in ["/metrics", "/livez", "/api/v1/status"] {
        let wrong = server.send(Method::POST, path, &[bearer()]).await;
        assert_eq!(wrong.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(wrong.headers()["allow"], "GET,HEAD", "{path}");
        assert!(json_of(wrong).await["error"].is_string(), "{path}");
    }
    let good = server.get("/livez", &[]).await;
    assert_eq!(good.headers()["cache-control"], "no-store");
    assert_eq!(good.headers()["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn a_port_in_use_and_a_foreign_address_have_errors_of_their_own() {
    let server = start(on(Ipv4Addr::LOCALHOST)).await;
    let settings = ServerSettings { listen: server.address.into(), ..ServerSettings::default() };
    let error = BoundSocket::bind(&settings).unwrap_err();
    assert!(matches!(error, BindError::Taken(Listen::Tcp(address)) if address == server.address), "{error}");
    let nowhere = ServerSettings { listen: SocketAddr::from(([192, 0, 2, 1], 0)).into(), ..ServerSettings::default() };
    assert!(matches!(BoundSocket::bind(&nowhere).unwrap_err(), BindError::NotOurs(_)));
}
