//! The simulator on a socket: [`Simulator::start`] binds, answers, and keeps the world moving.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::api::{Api, ApiSettings, KeyError, Reply, Request};
use super::faults::Faults;
use super::http::{self, Outcome, Received};
use super::world::{ActError, SessionTruth};
use super::world::{PersonKey, SpaceKey, World};
use crate::clock::Clock;
use crate::model::SessionName;

/// The longest request body that is read; token requests are a few hundred bytes.
const MAX_BODY: usize = 64 << 10;

/// Where the simulator takes the time from.
#[derive(Clone)]
pub struct Time(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Time {
    /// The machine's clock, off by `skew`: Google's clock and ours may differ.
    #[must_use]
    pub fn wall(skew: SignedDuration) -> Self {
        let clock = Clock::new();
        Self::from_fn(move || {
            let now = clock.now().wall;
            now.saturating_add(skew).unwrap_or(now)
        })
    }

    /// Whatever this says.
    #[must_use]
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl Default for Time {
    fn default() -> Self {
        Self::wall(SignedDuration::ZERO)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}

/// What a simulator is started with.
#[derive(Debug)]
pub struct Settings {
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    pub world: World,
    pub faults: Faults,
    /// Its `base_url` is set to where the simulator listens.
    pub api: ApiSettings,
    pub time: Time,
    /// How often the world moves by itself, besides at each request.
    pub tick: Duration,
}

impl Settings {
    /// This world without faults, on a free port of the loopback.
    #[must_use]
    pub fn new(world: World) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            world,
            faults: Faults::none(),
            api: ApiSettings::default(),
            time: Time::default(),
            tick: Duration::from_millis(100),
        }
    }
}

/// Starts simulators.
#[derive(Debug, Clone, Copy)]
pub struct Simulator;

/// A simulator at work. Stops when dropped; [`Running::stop`] also waits until it has.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    base_url: String,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    api: Mutex<Api>,
    time: Time,
    /// Counts everything that may have changed something, for those who wait.
    changes: watch::Sender<u64>,
}

impl Simulator {
    /// Binds and serves in the background until stopped.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(settings: Settings) -> io::Result<Running> {
        let listener = TcpListener::bind(settings.listen).await?;
        let address = listener.local_addr()?;
        let base_url = format!("http://{}", reachable(address));
        let api = ApiSettings { base_url: base_url.clone(), ..settings.api };
        let shared = Arc::new(Shared {
            api: Mutex::new(Api::new(settings.world, settings.faults, api)),
            time: settings.time,
            changes: watch::Sender::new(0),
        });
        let stop = CancellationToken::new();
        let handler = {
            let shared = Arc::clone(&shared);
            move |received| answer(Arc::clone(&shared), received)
        };
        let serving = tokio::spawn(http::serve(listener, MAX_BODY, stop.clone(), handler));
        let ticking = tokio::spawn(tick(Arc::clone(&shared), settings.tick, stop.clone()));
        Ok(Running { address, base_url, shared, stop, tasks: vec![serving, ticking] })
    }
}

/// Where a client on this machine finds what listens on this address.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

async fn answer(shared: Arc<Shared>, received: Received) -> Outcome {
    let reply = {
        let request = request(received);
        let now = shared.time.now();
        shared.lock().answer(&request, now)
    };
    shared.changed();
    http::deliver(reply).await
}

fn request(received: Received) -> Request {
    let header =
        |headers: &HeaderMap, name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Request {
        authorization: header(&received.headers, "authorization"),
        field_mask: header(&received.headers, "x-goog-fieldmask"),
        body: received.body.map(Into::into).unwrap_or_default(),
        ..Request::new(&received.method, &received.target)
    }
}

async fn tick(shared: Arc<Shared>, every: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let now = shared.time.now();
        shared.lock().world.step(now);
        shared.changed();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Api> {
        // An answer that panicked has changed nothing half.
        self.api.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
    }
}

impl Running {
    /// The address it listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://…` without a slash at the end: the endpoint of both APIs, and of `/token` and `/auth`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.base_url
    }

    /// The simulator's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.time.now()
    }

    /// Looks at or changes the world, the faults and everything else, with the world moved to now. Nobody is answered
    /// meanwhile.
    pub fn with<T>(&self, act: impl FnOnce(&mut Api, Timestamp) -> T) -> T {
        let now = self.now();
        let result = {
            let mut api = self.shared.lock();
            api.world.step(now);
            act(&mut api, now)
        };
        self.shared.changed();
        result
    }

    /// Lets a device join now.
    ///
    /// # Errors
    /// [`ActError`] for what cannot happen.
    pub fn join(&self, space: SpaceKey, person: PersonKey, device: &str) -> Result<SessionName, ActError> {
        self.with(|api, now| api.world.join(space, person, device, now))
    }

    /// Lets a device leave now.
    ///
    /// # Errors
    /// [`ActError`] for what cannot happen.
    pub fn leave(&self, space: SpaceKey, person: PersonKey, device: &str) -> Result<(), ActError> {
        self.with(|api, now| api.world.leave(space, person, device, now))
    }

    /// Ends a conference now.
    ///
    /// # Errors
    /// [`ActError`] for what cannot happen.
    pub fn end(&self, space: SpaceKey) -> Result<(), ActError> {
        self.with(|api, now| api.world.end(space, now))
    }

    /// Every stay until now.
    #[must_use]
    pub fn truth(&self) -> Vec<SessionTruth> {
        self.with(|api, _| api.world.sessions().collect())
    }

    /// A service account key whose token address is this simulator. Making it takes a moment the first time.
    ///
    /// # Errors
    /// [`KeyError`] where no RSA key can be made.
    pub fn service_account_key(&self) -> Result<serde_json::Value, KeyError> {
        self.with(|api, _| api.service_account_key())
    }

    /// Answers a request without a socket.
    #[must_use]
    pub fn answer(&self, request: &Request) -> Reply {
        self.with(|api, now| api.answer(request, now))
    }

    /// Waits until something is true of the simulator, at most `within`; says whether it became true. Looks again
    /// after each answer and each tick.
    pub async fn wait_until(&self, within: Duration, mut is_true: impl FnMut(&Api) -> bool) -> bool {
        let mut changes = self.shared.changes.subscribe();
        let waiting = async {
            loop {
                changes.mark_unchanged();
                if is_true(&self.shared.lock()) {
                    return true;
                }
                if changes.changed().await.is_err() {
                    return false;
                }
            }
        };
        tokio::time::timeout(within, waiting).await.unwrap_or(false)
    }

    /// Stops: no new connections, answers in flight may finish for a moment.
    pub async fn stop(mut self) {
        self.stop.cancel();
        for task in std::mem::take(&mut self.tasks) {
            // A task that panicked has stopped too.
            let _ = task.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
