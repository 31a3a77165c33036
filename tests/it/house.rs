//! The test environment: simulator, daemon and receiver in one process, over real sockets, with a real store.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use meetwatch::app::{App, ReloadHandle, RunError, StartOptions};
use meetwatch::clock::Clock;
use meetwatch::config::{self, Environment};
use meetwatch::delivery::sign::SigningSecret;
use meetwatch::model::{Event, EventType};
use meetwatch::serve::Listen;
use meetwatch::sim::api::ApiSettings;
use meetwatch::sim::receiver::{Receiver, ReceiverSettings};
use meetwatch::sim::world::{PersonKey, SimPerson, SpaceKey};
use meetwatch::sim::{Running, Settings, Simulator, Time, World};
use meetwatch::store::Store;
use meetwatch::verify::truth;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::event_verifier::signed_and_valid;

/// A timeout that is not reached even on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(crate) struct House {
    pub(crate) simulator: Running,
    pub(crate) receiver: Receiver,
    pub(crate) space: SpaceKey,
    folder: TempDir,
    target: String,
    /// Additional keys in the table of the identity.
    identity: &'static str,
    daemon: Option<Daemon>,
    clock: Clock,
}

struct Daemon {
    address: SocketAddr,
    store: Store,
    reloads: ReloadHandle,
    stop: CancellationToken,
    running: JoinHandle<Result<(), RunError>>,
}

impl House {
    /// Starts everything around one space without a meeting, watched as its organizer.
    pub(crate) async fn new() -> Self {
        Self::with(ApiSettings { require_auth: true, ..ApiSettings::default() }, "organizer = true").await
    }

    /// Like [`House::new`], with this API and these target keys. `{code}` and `{space}` are replaced.
    pub(crate) async fn with(api: ApiSettings, target: &str) -> Self {
        Self::seen_by(api, "", target).await
    }

    /// Like [`House::with`], with additional identity keys.
    pub(crate) async fn seen_by(api: ApiSettings, identity: &'static str, target: &str) -> Self {
        let mut world = World::empty(11, Time::default().now());
        let alice = world.add_person(SimPerson::signed_in("Alice", "alice@example.com"));
        let space = world.add_space(Some(alice)).unwrap();
        let (code, name) = (world.space(space).code.to_string(), world.space(space).name.to_string());
        let simulator = Simulator::start(Settings { api, ..Settings::new(world) }).await.unwrap();
        let secret = SigningSecret::parse(SECRET).unwrap();
        let clock = Clock::new();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let receiver = Receiver::start(ReceiverSettings::new(listen, signed_and_valid(secret))).await.unwrap();
        let target = target.replace("{code}", &code).replace("{space}", &name);
        let folder = tempfile::tempdir().unwrap();
        let mut house = Self { simulator, receiver, space, folder, target, identity, daemon: None, clock };
        let key = house.simulator.service_account_key().unwrap();
        std::fs::write(house.path("key.json"), key.to_string()).unwrap();
        house.start().await;
        house
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the configuration, with shorter intervals than usual.
    pub(crate) fn config(&self) -> String {
        format!(
            r#"
[google]
endpoint = "{google}"
people_endpoint = "{google}"
internal_domains = ["example.com"]
[google.quota]
reads_per_minute_user = 6000
reads_per_minute_project = 60000
[[identity]]
name = "organizer"
service_account_key = "{key}"
subject = "alice@example.com"
{identity}
[[target]]
name = "board"
identity = "organizer"
{target}
poll_interval = "1s"
[[webhook]]
name = "ops"
url = "{receiver}"
secret = "{SECRET}"
[watch]
session_sweep = "1s"
backfill = "1s"
discovery = "1s"
[store]
path = "{store}"
[server]
listen = "127.0.0.1:0"
"#,
            google = self.simulator.url(),
            key = self.path("key.json").display(),
            target = self.target,
            identity = self.identity,
            receiver = self.receiver.url(),
            store = self.path("meetwatch.db").display(),
        )
    }

    pub(crate) async fn start(&mut self) {
        let file = self.path("meetwatch.toml");
        std::fs::write(&file, self.config()).unwrap();
        let config = config::load(&file, &Environment::default()).unwrap_or_else(|problems| panic!("{problems}"));
        let app = App::start(config, StartOptions::seeded(5)).await.unwrap();
        let Listen::Tcp(address) = *app.listens_on() else { panic!("not an address") };
        let (store, stop) = (app.store().clone(), CancellationToken::new());
        let reloads = app.reload_handle();
        let running = tokio::spawn(app.run(stop.clone()));
        self.daemon = Some(Daemon { address, store, reloads, stop, running });
    }

    pub(crate) async fn stop(&mut self) {
        let daemon = self.daemon.take().unwrap();
        daemon.stop.cancel();
        drop(daemon.store);
        daemon.running.await.unwrap().unwrap();
    }

    /// What reads the configuration again.
    pub(crate) fn reloads(&self) -> ReloadHandle {
        self.daemon.as_ref().unwrap().reloads.clone()
    }

    /// Writes this configuration and reloads it.
    pub(crate) async fn reload(&self, config: &str) -> Result<Vec<String>, meetwatch::serve::NotReloaded> {
        std::fs::write(self.path("meetwatch.toml"), config).unwrap();
        self.reloads().request().await
    }

    /// Sends a request to the daemon's API with its token. Returns the status and the answer.
    pub(crate) async fn ask(&self, method: reqwest::Method, path: &str) -> (u16, serde_json::Value) {
        self.ask_with(method, path, None).await
    }

    /// Like [`House::ask`], with a body.
    pub(crate) async fn ask_with(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> (u16, serde_json::Value) {
        let token = std::fs::read_to_string(self.path("meetwatch.db.token")).unwrap();
        let url = format!("http://{}{path}", self.daemon.as_ref().unwrap().address);
        let mut request = reqwest::Client::new().request(method, url).bearer_auth(token.trim());
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Adds a person to the world.
    pub(crate) fn person(&self, person: SimPerson) -> PersonKey {
        self.simulator.with(|api, _| api.world.add_person(person))
    }

    pub(crate) fn join(&self, person: PersonKey, device: &str) {
        self.simulator.join(self.space, person, device).unwrap();
    }

    pub(crate) fn leave(&self, person: PersonKey, device: &str) {
        self.simulator.leave(self.space, person, device).unwrap();
    }

    pub(crate) fn end(&self) {
        self.simulator.end(self.space).unwrap();
    }

    pub(crate) async fn log(&self) -> Vec<Event> {
        truth::log(&self.daemon.as_ref().unwrap().store).await.unwrap()
    }

    /// Returns how many events of a type the log has.
    pub(crate) async fn told(&self, event: EventType) -> usize {
        self.log().await.iter().filter(|one| one.event == event).count()
    }

    /// Waits until the log has `count` events of a type.
    pub(crate) async fn until_told(&self, event: EventType, count: usize) {
        let begun = self.clock.now().mono;
        while self.told(event).await < count {
            let waited = self.clock.now().mono - begun;
            assert!(waited < LONG, "timed out waiting for {count} × {}: {:#?}", event.as_str(), self.log().await);
            // The log has no notification for tests; each check costs a query.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the simulator has answered `reads` further requests.
    pub(crate) async fn until_read(&self, reads: u64) {
        let count = |api: &meetwatch::sim::api::SimApi| api.tally().values().sum::<u64>();
        let before = self.simulator.with(|api, _| count(api));
        assert!(
            self.simulator.wait_until(LONG, |api| count(api) >= before + reads).await,
            "the daemon stopped reading"
        );
    }

    /// Ends the meeting, waits until the log has `endings` ended conferences, and compares log, world and deliveries.
    pub(crate) async fn agrees(mut self, endings: usize) {
        self.end();
        self.until_told(EventType::ConferenceEnded, endings).await;
        let events = self.log().await;
        let delivered = self.receiver.wait_until(LONG, |arrived, _| {
            events.iter().all(|event| arrived.iter().any(|one| one.accepted && one.id == event.id.as_str()))
        });
        assert!(delivered.await, "some events were not delivered");
        let compared = self.simulator.with(|api, _| truth::compare(&api.world, &events));
        assert_eq!(compared.disagreements, Vec::<String>::new(), "{events:#?}");
        self.stop().await;
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.daemon.as_ref().unwrap().address
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        let address = self.address();
        let answer = reqwest::get(format!("http://{address}{path}")).await.unwrap();
        answer.text().await.unwrap()
    }

    /// Waits until a metric has this value.
    pub(crate) async fn until_metric(&self, name: &str, labels: &str, value: f64) {
        let asking = async {
            while self.metric(name, labels).await != value {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(LONG, asking).await.is_ok(), "{name} did not become {value}");
    }

    /// Returns the sum of a metric's series that contain `labels`.
    pub(crate) async fn metric(&self, name: &str, labels: &str) -> f64 {
        let text = self.get("/metrics").await;
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(labels));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}
