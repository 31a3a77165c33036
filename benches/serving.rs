//! The cost of a scrape while a thousand conferences are live: `cargo bench --bench serving`.
//!
//! Measures the real server on loopback over one connection, as Prometheus uses it. As the baseline, serves the same bytes from
//! memory with the same HTTP library. Meanwhile measures the longest wait for the lock of the status board, which is how long a
//! scrape can delay a poll. No test depends on the results.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use meetwatch::clock::Clock;
use meetwatch::heartbeat::Liveness;
use meetwatch::model::{ConferenceName, EndpointName, TargetName};
use meetwatch::serve::{
    ApiContext, BoundSocket, EndpointLimits, EndpointTester, Listen, LiveConfig, LiveConfigCell, NotReloaded,
    Readiness, Reload, Server, ServerParts, ServerSettings, TestReport, metrics,
};
use meetwatch::status::{ConferenceStatus, StatusBoard, TargetStatus};
use meetwatch::store::{Store, StoreMetrics};
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

const CONFERENCES: usize = 1000;
const SCRAPES: usize = 300;

/// Neither tests an endpoint nor reloads; the benchmark does neither.
struct Unused;

impl EndpointTester for Unused {
    fn test(&self, _: EndpointName) -> Pin<Box<dyn Future<Output = Option<TestReport>> + Send>> {
        Box::pin(async { None })
    }
}

impl EndpointLimits for Unused {
    fn limited_per_second(&self, _: &EndpointName) -> Option<f64> {
        None
    }
}

impl Reload for Unused {
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<Vec<String>, NotReloaded>> + Send>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

fn fill(board: &StatusBoard) -> Result<()> {
    for number in 0..CONFERENCES {
        let target = TargetName::parse(&format!("room-{}", number % 50))?;
        let name = ConferenceName::parse(&format!("conferenceRecords/0a1b2c3d-4e5f-6789-abcd-{number:012}"))?;
        let conference = ConferenceStatus {
            targets: vec![target.clone()],
            start: jiff::Timestamp::from_second(1_700_000_000)?,
            last_read: Some(jiff::Timestamp::from_second(1_700_000_100)?),
            present: [7, 2, 1, 0],
            open_sessions: 11,
            sequence: 1,
        };
        let mut status = board.write();
        status.targets.insert(target, TargetStatus { last_discovery: conference.last_read });
        status.conferences.insert(name, conference);
    }
    Ok(())
}

fn parts(folder: &std::path::Path, board: &StatusBoard, settings: &ServerSettings) -> Result<ServerParts> {
    let (registry, clock) = (Registry::new(), Clock::new());
    metrics::register(&registry, board, settings.max_conferences)?;
    let limit_reached = metrics::limit_reached(&registry)?;
    let store = Store::open(&folder.join("m.db"), clock, StoreMetrics::register(&registry)?)?;
    let config = LiveConfig::new(settings, "a-token-of-some-length".into(), Vec::new(), Arc::new(Unused))?;
    Ok(ServerParts {
        registry,
        board: board.clone(),
        readiness: Readiness::default(),
        liveness: Liveness::new(Vec::new(), Duration::ZERO),
        limit_reached,
        live_config: LiveConfigCell::new(config),
        api: ApiContext { store, clock },
        endpoint_limits: Arc::new(Unused),
        reload: Arc::new(Unused),
    })
}

/// Requests `url` [`SCRAPES`] times. Returns the median and the 99th percentile in milliseconds, and the bytes of a response.
async fn measure(clock: Clock, url: &str) -> Result<(f64, f64, usize)> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let (mut times, mut bytes) = (Vec::with_capacity(SCRAPES), 0);
    for _ in 0..SCRAPES {
        let begun = clock.mono();
        bytes = client.get(url).send().await?.error_for_status()?.bytes().await?.len();
        times.push(clock.mono().saturating_sub(begun).as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok((times[SCRAPES / 2], times[SCRAPES * 99 / 100], bytes))
}

/// Writes to the board as polls do, until `stop`. Returns the longest wait for the lock, in milliseconds.
async fn poll(clock: Clock, board: StatusBoard, stop: Arc<AtomicBool>) -> f64 {
    let mut longest = 0.0_f64;
    while !stop.load(Ordering::Relaxed) {
        let begun = clock.mono();
        if let Some(mut conference) = board.write().conferences.first_entry() {
            conference.get_mut().sequence += 1;
        }
        longest = longest.max(clock.mono().saturating_sub(begun).as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    longest
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let (clock, board, folder) = (Clock::new(), StatusBoard::default(), tempfile::tempdir()?);
    fill(&board)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings = ServerSettings { listen: address.into(), ..ServerSettings::default() };
    let server = Server::new(BoundSocket::bind(&settings)?, parts(folder.path(), &board, &settings)?);
    let Listen::Tcp(address) = *server.listens_on() else { bail!("the server does not listen on TCP") };
    let cancel = CancellationToken::new();
    let running = tokio::spawn(server.run(cancel.clone()));
    let url = format!("http://{address}/metrics");
    let text = reqwest::get(&url).await?.text().await?;

    let plain = axum::Router::new().route("/metrics", axum::routing::get(async move || text.clone()));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let plain_url = format!("http://{}/metrics", listener.local_addr()?);
    let serving = tokio::spawn(serve_plainly(listener, plain));

    let stop = Arc::new(AtomicBool::new(false));
    let polling = tokio::spawn(poll(clock, board.clone(), Arc::clone(&stop)));
    let scrape = measure(clock, &url).await?;
    stop.store(true, Ordering::Relaxed);
    let waited = polling.await?;
    let baseline = measure(clock, &plain_url).await?;
    println!("{CONFERENCES} live conferences, {} bytes, {SCRAPES} scrapes one after another", scrape.2);
    println!("a scrape:            median {:.2} ms, 99th percentile {:.2} ms", scrape.0, scrape.1);
    println!("the same from memory: median {:.2} ms, 99th percentile {:.2} ms", baseline.0, baseline.1);
    println!("longest wait for the board meanwhile: {waited:.2} ms");
    cancel.cancel();
    running.await?;
    serving.abort();
    Ok(())
}

async fn serve_plainly(listener: tokio::net::TcpListener, router: axum::Router) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        let http = hyper::server::conn::http1::Builder::new();
        tokio::spawn(http.serve_connection(hyper_util::rt::TokioIo::new(stream), service));
    }
}
