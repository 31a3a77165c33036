//! Everything put together: started in order, run, and stopped in order, each step within a bound.
//!
//! The stop: not ready → no new polls → no new claims → sends in flight finish, up to a grace → HTTP drains → the store
//! closes. Nothing here is global, so a test can start two of these in one process. `reload` takes another configuration
//! over while all of this runs.

mod error;
mod front;
mod reload;
mod supervise;

use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use secrecy::SecretString;
use tokio::sync::{mpsc, watch as value};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::backoff::{Backoff, Random};
use crate::clock::Clock;
use crate::config::Config;
use crate::delivery::{Dispatcher, DispatcherOptions, EndpointSettings, Names, WebhookMetrics, pseudonym_key};
use crate::failpoints::{AbortAt, HangAt};
use crate::heartbeat::Heartbeat;
use crate::log::Level;
use crate::meet::{self, Client, RetryPolicy};
use crate::serve::{ApiContext, Listen, LiveConfigCell, Readiness, Server, ServerParts, token};
use crate::status::StatusBoard;
use crate::store::{Store, StoreError, StoreMetrics, retention_loop};
use crate::systemd::{self, Notifier};
use crate::watch::{self, Memory, Scheduler, Setup, WatchIdentity};

pub use error::{RunError, StartError};
use reload::Reloader;
pub use reload::Reloads;

/// How long the store may take to close.
const STORE_CLOSE: Duration = Duration::from_secs(10);

/// How long each part may take to stop: longer than what is being sent may take to finish.
const PART_STOP: Duration = Duration::from_secs(15);

/// One of the loops, with what stops it.
struct Part {
    name: &'static str,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Part {
    fn spawn<F>(name: &'static str, run: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        Self { name, task: tokio::spawn(run(stop.clone())), stop }
    }
}

/// A daemon that holds its store and its address and does nothing yet.
#[derive(Debug)]
pub struct App {
    clock: Clock,
    store: Store,
    server: Server,
    readiness: Readiness,
    scheduler: Scheduler,
    watching: watch::WatchParts<Client>,
    changed: mpsc::Receiver<watch::ReconfigureRequest<Client>>,
    dispatcher: Dispatcher,
    retention: value::Receiver<Duration>,
    reloader: Reloader,
    reloads: Reloads,
    asked: reload::Asked,
    board: StatusBoard,
    patience: Option<Duration>,
}

impl App {
    /// Opens the store, takes up where it left off, and binds the address. Nobody is asked or told anything yet.
    ///
    /// # Errors
    /// [`StartError`]; nothing was damaged.
    pub async fn start(config: Config, seed: u64) -> Result<Self, StartError> {
        Self::start_aborting_at(config, seed, AbortAt::default()).await
    }

    /// As [`Self::start`], dying where a test wants it to.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_aborting_at(mut config: Config, seed: u64, abort: AbortAt) -> Result<Self, StartError> {
        let clock = Clock::new();
        let registry = Registry::new();
        let board = StatusBoard::default();
        let readiness = Readiness::default();
        let limits = crate::serve::metrics::limit_reached(&registry)?;
        crate::serve::metrics::register(&registry, &board, config.server.max_conferences)?;

        let store = open_store(&config, clock, &registry, abort.clone()).await?;
        give_pseudonyms(&mut config).await?;
        readiness.set_store_open(true);
        let configured = config.webhooks.iter().map(EndpointSettings::outbox).collect();
        store.configure(configured, clock.now().wall).await?;
        let endpoints = config.webhooks.iter().map(|endpoint| endpoint.name.clone()).collect();
        let outbox = store.outbox_collector(endpoints)?;
        let shown = outbox.endpoints();
        registry.register(Box::new(outbox))?;

        let retry = RetryPolicy::default();
        let client = Client::new(&meet::ClientParts {
            google: &config.google,
            identities: &config.identities,
            clock,
            seed,
            registry: &registry,
            limits: &limits,
            status: board.clone(),
            retry,
        })?;
        let metrics = watch::WatchMetrics::new(&registry, limits.clone())?;
        let scheduler = schedule(&config, &client, &store, metrics.clone(), board.clone(), clock, seed).await?;
        let names = config.webhooks.iter().map(|endpoint| &endpoint.name);
        let deliveries = WebhookMetrics::register(&registry, names)?;
        let random = Random::with_seed(seed.rotate_left(32));
        let options = DispatcherOptions::default();
        let dispatcher =
            Dispatcher::new(&config.webhooks, store.clone(), clock, deliveries, random, &options)?
                .aborting_at(abort);

        let token = server_token(&config).await?;
        let fronts = LiveConfigCell::new(front::make(&config, token, front::probe(&config, clock)?).await?);
        let api = ApiContext { store: store.clone(), clock };
        let (reloads, asked) = Reloads::new();
        let reloaded = reload::Metrics::register(&registry, clock)?;
        let exposed = ServerParts {
            registry,
            board: board.clone(),
            readiness: readiness.clone(),
            limit_reached: limits,
            live_config: fronts.clone(),
            api,
            reload: Arc::new(reloads.clone()),
        };
        let server = Server::bind(&config.server, exposed).await?;
        let reader = Arc::new(client.clone());
        let (heartbeat, hang) = (Heartbeat::default(), HangAt::default());
        let watching = watch::WatchParts { reader, store: store.clone(), clock, metrics, heartbeat, hang };
        let (changes, changed) = watch::reconfigure_channel();
        let (keep, retention) = value::channel(config.store.retention);
        let reloader = Reloader {
            running: config,
            clock,
            store: store.clone(),
            client,
            watching: changes,
            sending: dispatcher.reconfigure_handle(),
            retention: keep,
            shown,
            fronts,
            level: None,
            metrics: reloaded,
            notifier: Notifier::default(),
        };
        Ok(Self {
            clock,
            store,
            server,
            readiness,
            scheduler,
            watching,
            changed,
            dispatcher,
            retention,
            reloader,
            reloads,
            asked,
            board,
            patience: None,
        })
    }

    /// The same, with what sets how much is logged: the configuration decides on it from the next reload on.
    #[must_use]
    pub fn logging_at(mut self, level: Level) -> Self {
        self.reloader.level = Some(level);
        self
    }

    /// What has the configuration read again.
    #[must_use]
    pub fn reloads(&self) -> Reloads {
        self.reloads.clone()
    }

    /// Where metrics, health and the API are.
    #[must_use]
    pub fn listens_on(&self) -> &Listen {
        self.server.listens_on()
    }

    /// The open store, for reading.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Works until `stop`, then stops in order.
    ///
    /// # Errors
    /// [`RunError`]; nothing acknowledged is lost.
    pub async fn run(self, stop: CancellationToken) -> Result<(), RunError> {
        let supervising = self.supervising();
        let notifier = self.reloader.notifier.clone();
        let supervising = Part::spawn("supervising", |stop| systemd::run(supervising, stop));
        let Self { clock, store, server, readiness, scheduler, watching, changed, dispatcher, retention, .. } = self;
        let (reloader, asked) = (self.reloader, self.asked);
        // The first to stop: what it hands over, the others are still there to take.
        let reloading = Part::spawn("reloading", |stop| reloader.run(asked, stop));
        let watching = Part::spawn("watching", |stop| watch::run(scheduler, watching, changed, stop));
        let pruning = Part::spawn("pruning", |stop| retention_loop::run(store.clone(), clock, retention, stop));
        let sending = Part::spawn("sending", |stop| dispatcher.run(stop));
        let serving = Part::spawn("serving", |stop| server.run(stop));
        notifier.ready().await;
        let mut parts = [supervising, reloading, watching, pruning, sending, serving];

        let [supervising, reloading, watching, pruning, sending, serving] = &mut parts;
        // No part ends by itself: without one of them the daemon would look alive and be of no use.
        let ended = tokio::select! {
            () = stop.cancelled() => None,
            _ = &mut supervising.task => Some(supervising.name),
            _ = &mut reloading.task => Some(reloading.name),
            _ = &mut watching.task => Some(watching.name),
            _ = &mut pruning.task => Some(pruning.name),
            _ = &mut sending.task => Some(sending.name),
            _ = &mut serving.task => Some(serving.name),
        };
        if let Some(part) = ended {
            tracing::error!(part, "a part of the daemon ended by itself; this is a defect, please report it");
        }
        let begun = clock.now().mono;
        tracing::info!("stopping");
        readiness.set_stopping();
        notifier.stopping().await;
        let mut whole = ended.is_none();
        for part in parts {
            part.stop.cancel();
            if Some(part.name) == ended {
                continue;
            }
            let abort = part.task.abort_handle();
            let problem = match tokio::time::timeout(PART_STOP, part.task).await {
                Ok(Ok(())) => continue,
                Ok(Err(_)) => "died",
                Err(_) => "hangs and is left behind",
            };
            abort.abort();
            tracing::error!(
                part = part.name,
                problem,
                "a part of the daemon did not stop; this is a defect, please report it"
            );
            whole = false;
        }
        store.close(STORE_CLOSE).await?;
        let took = clock.now().mono.saturating_sub(begun);
        tracing::info!(seconds = took.as_secs_f64(), "stopped");
        if whole { Ok(()) } else { Err(RunError::Died) }
    }
}

async fn open_store(config: &Config, clock: Clock, registry: &Registry, abort: AbortAt) -> Result<Store, StartError> {
    let metrics = StoreMetrics::register(registry)?;
    let path = config.store.path.clone();
    let opened = tokio::task::spawn_blocking(move || Store::open_aborting_at(&path, clock, metrics, abort)).await;
    // A task that died here leaves nothing behind that could be wrong: the store was not open yet.
    opened.map_err(|_| StoreError::Closed)?.map_err(StartError::Store)
}

/// Gives every endpoint that hides names the installation's key to do it with.
async fn give_pseudonyms(config: &mut Config) -> Result<(), StartError> {
    if config.webhooks.iter().all(|endpoint| endpoint.names == Names::Full) {
        return Ok(());
    }
    let path = config.store.path.clone();
    let made = tokio::task::spawn_blocking(move || pseudonym_key::load_or_create(&path)).await;
    let key = made.map_err(|_| StoreError::Closed)??;
    for endpoint in &mut config.webhooks {
        endpoint.pseudonyms = Some(key.clone());
    }
    Ok(())
}

async fn server_token(config: &Config) -> Result<SecretString, StartError> {
    if let Some(token) = &config.server.token {
        return Ok(token.clone());
    }
    let path = config.store.path.clone();
    let made = tokio::task::spawn_blocking(move || token::load_or_create(&path)).await;
    made.map_err(|_| StoreError::Closed)?.map_err(StartError::Token)
}

async fn schedule(
    config: &Config,
    client: &Client,
    store: &Store,
    metrics: watch::WatchMetrics,
    board: StatusBoard,
    clock: Clock,
    seed: u64,
) -> Result<Scheduler, StartError> {
    let setup = setup(config, client);
    let memory = Memory {
        conferences: store.load_unfinished().await?,
        targets: store.targets().await?,
        finished: store.finished().await?,
    };
    tracing::info!(
        targets = setup.targets.len(),
        identities = setup.identities.len(),
        webhooks = setup.routes.len(),
        conferences = memory.conferences.len(),
        "starting"
    );
    let backoff = Backoff::new(Duration::from_secs(5), 2.0, Duration::from_secs(120), 0.2)?;
    Ok(Scheduler::new(setup, memory, backoff, Random::with_seed(seed), metrics, board, clock.now()))
}

/// What the schedule has to know of the configuration.
fn setup(config: &Config, client: &Client) -> Setup {
    let identities = config.identities.iter().map(|identity| WatchIdentity {
        name: identity.name.clone(),
        looks_up: identity.lookup_people,
        budget: client.budget_per_minute(&identity.name),
    });
    Setup {
        settings: config.watch,
        targets: config.targets.clone(),
        identities: identities.collect(),
        routes: config.webhooks.iter().map(|endpoint| endpoint.route.clone()).collect(),
        internal_domains: config.google.internal_domains.clone(),
        project_budget: client.project_budget_per_minute(),
    }
}
