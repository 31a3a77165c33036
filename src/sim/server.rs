//! The simulator on a socket: [`Simulator::start`] binds, answers requests, and steps the world in real time.

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

use super::api::{ApiReply, ApiSettings, KeyGenerationError, Request, SimApi};
use super::faults::Faults;
use super::http::{self, HttpOutcome, ReceivedRequest};
use super::world::{ActionError, SessionTruth};
use super::world::{PersonKey, SpaceKey, World};
use crate::clock::Clock;
use crate::model::SessionName;

/// The longest request body accepted, in bytes; token requests have a few hundred.
const MAX_BODY: usize = 64 << 10;

/// The clock of the simulator.
#[derive(Clone)]
pub struct Time(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Time {
    /// The machine's clock, shifted by `skew`: Google's clock and ours may differ.
    #[must_use]
    pub fn wall(skew: SignedDuration) -> Self {
        let clock = Clock::new();
        Self::from_fn(move || {
            let now = clock.now().wall;
            now.saturating_add(skew).unwrap_or(now)
        })
    }

    /// A clock that returns what `now` returns.
    #[must_use]
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Returns the time.
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

/// The settings of a simulator.
#[derive(Debug)]
pub struct Settings {
    /// Port 0 selects a free port.
    pub listen: SocketAddr,
    pub world: World,
    pub faults: Faults,
    /// Its `base_url` is replaced by the address the simulator listens on.
    pub api: ApiSettings,
    pub time: Time,
    /// How often the world is stepped, in addition to each request.
    pub tick: Duration,
}

impl Settings {
    /// Returns settings for this world without faults, on a free port of the loopback interface.
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

/// A running simulator. It stops when dropped; [`Running::stop`] also waits until it has.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    base_url: String,
    shared: Arc<SimulatorState>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct SimulatorState {
    api: Mutex<SimApi>,
    time: Time,
    /// Incremented after everything that may have changed the state; [`Running::wait_until`] waits for it.
    changes: watch::Sender<u64>,
}

impl Simulator {
    /// Binds the address and serves in the background until stopped.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(settings: Settings) -> io::Result<Running> {
        let listener = TcpListener::bind(settings.listen).await?;
        let address = listener.local_addr()?;
        let base_url = format!("http://{}", reachable(address));
        let api = ApiSettings { base_url: base_url.clone(), ..settings.api };
        let shared = Arc::new(SimulatorState {
            api: Mutex::new(SimApi::new(settings.world, settings.faults, api)),
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

/// Returns the address at which a client on this machine reaches a listener on `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

async fn answer(shared: Arc<SimulatorState>, received: ReceivedRequest) -> HttpOutcome {
    let reply = {
        let request = request(received);
        let now = shared.time.now();
        shared.lock().answer(&request, now)
    };
    shared.changed();
    http::deliver(reply).await
}

fn request(received: ReceivedRequest) -> Request {
    let header =
        |headers: &HeaderMap, name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Request {
        authorization: header(&received.headers, "authorization"),
        field_mask: header(&received.headers, "x-goog-fieldmask"),
        body: received.body.map(Into::into).unwrap_or_default(),
        ..Request::new(&received.method, &received.target)
    }
}

async fn tick(shared: Arc<SimulatorState>, every: Duration, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let now = shared.time.now();
        shared.lock().world.step(now);
        shared.changed();
    }
}

impl SimulatorState {
    fn lock(&self) -> MutexGuard<'_, SimApi> {
        // A panic leaves no partial change behind.
        self.api.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
    }
}

impl Running {
    /// Returns the address it listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns `http://…` without a trailing slash: the endpoint of both APIs, and of `/token` and `/auth`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.base_url
    }

    /// Returns the simulator's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.time.now()
    }

    /// Runs `act` on the API with the world stepped to now. No request is answered meanwhile.
    pub fn with<T>(&self, act: impl FnOnce(&mut SimApi, Timestamp) -> T) -> T {
        let now = self.now();
        let result = {
            let mut api = self.shared.lock();
            api.world.step(now);
            act(&mut api, now)
        };
        self.shared.changed();
        result
    }

    /// A device joins now.
    ///
    /// # Errors
    /// [`ActionError`] if the action is impossible.
    pub fn join(&self, space: SpaceKey, person: PersonKey, device: &str) -> Result<SessionName, ActionError> {
        self.with(|api, now| api.world.join(space, person, device, now))
    }

    /// A device leaves now.
    ///
    /// # Errors
    /// [`ActionError`] if the action is impossible.
    pub fn leave(&self, space: SpaceKey, person: PersonKey, device: &str) -> Result<(), ActionError> {
        self.with(|api, now| api.world.leave(space, person, device, now))
    }

    /// Ends a conference now.
    ///
    /// # Errors
    /// [`ActionError`] if the action is impossible.
    pub fn end(&self, space: SpaceKey) -> Result<(), ActionError> {
        self.with(|api, now| api.world.end(space, now))
    }

    /// Returns every session until now.
    #[must_use]
    pub fn truth(&self) -> Vec<SessionTruth> {
        self.with(|api, _| api.world.sessions().collect())
    }

    /// Returns a service account key whose token address is this simulator. The first call generates the key.
    ///
    /// # Errors
    /// [`KeyGenerationError`] if no RSA key can be generated.
    pub fn service_account_key(&self) -> Result<serde_json::Value, KeyGenerationError> {
        self.with(|api, _| api.service_account_key())
    }

    /// Answers a request without a socket.
    #[must_use]
    pub fn answer(&self, request: &Request) -> ApiReply {
        self.with(|api, now| api.answer(request, now))
    }

    /// Waits at most `within` until `is_true` of the API. Returns whether it became true. Checks after each answer and
    /// each tick.
    pub async fn wait_until(&self, within: Duration, mut is_true: impl FnMut(&SimApi) -> bool) -> bool {
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

    /// Stops accepting connections, and waits briefly for answers in flight.
    pub async fn stop(mut self) {
        self.stop.cancel();
        for task in std::mem::take(&mut self.tasks) {
            // A task that panicked has stopped as well.
            let _ = task.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
