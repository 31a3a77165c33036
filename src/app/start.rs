//! Starting the daemon: each part is built from the configuration and handed what it needs of the parts before it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prometheus::{IntCounter, IntCounterVec, Registry};
use tokio::sync::watch as value;

use super::reload::{ReloadMetrics, ReloadTargets, Reloader};
use super::secrets::{load_pseudonym_key, server_token};
use super::watch_setup::watch_setup;
use super::{App, ReloadHandle, StartError, front};
use crate::backoff::{Backoff, Random};
use crate::clock::Clock;
use crate::config::Config;
use crate::delivery::{self, Dispatcher, EndpointSettings, LearnedLimits, WebhookMetrics, pseudonym_key};
use crate::failpoints::{AbortFailpoint, HangFailpoint};
use crate::heartbeat::{Heartbeat, Liveness, WatchedLoop};
use crate::log::{self, Level};
use crate::meet::{self, Client, RetryPolicy};
use crate::serve::{self, ApiContext, BoundSocket, LiveConfigCell, Readiness, Server, ServerParts, token};
use crate::status::StatusBoard;
use crate::store::{ShownEndpoints, Store, StoreError, StoreMetrics};
use crate::systemd::Notifier;
use crate::watch::{self, Memory, Scheduler};

/// A loop that turns every second counts as stalled when it has not turned for this long.
const LOOP_DEADLINE: Duration = Duration::from_secs(15);

/// The same for the store's writer, of which one turn is a whole group of transactions on a disk that may be slow.
const WRITER_DEADLINE: Duration = Duration::from_secs(60);

/// How a daemon is started, apart from its configuration.
#[derive(Debug, Default)]
pub struct StartOptions {
    /// Seeds the jitter of retries and of the schedule.
    pub seed: u64,
    /// Sets the log level; each reload sets the configured one. Without it the level stays as it is.
    pub log_level: Option<Level>,
    /// Counts the log lines that were dropped. Without it, none are counted.
    pub log_lines_dropped: Option<IntCounter>,
    /// The service manager to notify.
    pub notifier: Notifier,
    /// The interval within which the service manager expects to hear from the daemon, if it has a watchdog.
    pub watchdog: Option<Duration>,
    /// Aborts the process, for tests of crashes.
    pub abort: AbortFailpoint,
    /// Hangs the poll loop, for tests of the watchdog.
    pub hang: HangFailpoint,
}

impl StartOptions {
    /// Returns the options of a daemon with this seed, without a service manager and without failpoints.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }
}

impl App {
    /// Binds the address, opens the store and restores the state that it holds. Makes no request and sends no delivery.
    ///
    /// What can fail without the store comes before it, so that a start that fails there leaves no new files behind.
    ///
    /// # Errors
    /// [`StartError`]; the store is left intact.
    pub async fn start(mut config: Config, options: StartOptions) -> Result<Self, StartError> {
        let context = StartContext::new(&config, options.seed, options.abort)?;
        let socket = BoundSocket::bind(&config.server)?;
        let lines_dropped = options.log_lines_dropped.map_or_else(log::lines_dropped, Ok)?;
        context.registry.register(Box::new(lines_dropped))?;
        let client = context.google_client(&config)?;
        delivery::check_clients(&config.webhooks, context.clock)?;
        let store = context.open_store(&config).await?;
        load_pseudonym_key(&mut config).await?;
        let endpoint_names = context.configure_endpoints(&config, &store).await?;
        let watch_metrics = watch::WatchMetrics::new(&context.registry, context.limits.clone())?;
        let scheduler = context.scheduler(&config, &client, &store, watch_metrics.clone()).await?;
        let dispatcher = context.dispatcher(&config, &store)?;
        let live_config =
            LiveConfigCell::new(front::build(&config, server_token(&config).await?, context.clock).await?);
        let watching = context.watching(&client, &store, watch_metrics, options.hang);
        let liveness = context.liveness(&watching.heartbeat, &store, &dispatcher);
        let (reload_handle, reload_requests) = ReloadHandle::new();
        let server =
            context.server(socket, &store, live_config.clone(), &reload_handle, liveness.clone(), dispatcher.limits());
        let (watch_sender, watch_changes) = watch::reconfigure_channel();
        let (retention_sender, retention) = value::channel(config.store.retention);
        let targets = ReloadTargets {
            client,
            watching: watch_sender,
            sending: dispatcher.reconfigure_handle(),
            retention: retention_sender,
            endpoint_names,
            live_config,
            log_level: options.log_level,
        };
        let reloader = context.reloader(config, &store, targets, &options.notifier)?;
        let StartContext { clock, board, readiness, .. } = context;
        Ok(Self {
            clock,
            board,
            readiness,
            liveness,
            notifier: options.notifier,
            watchdog: options.watchdog,
            store,
            retention,
            scheduler,
            watching,
            watch_changes,
            dispatcher,
            server,
            reloader,
            reload_handle,
            reload_requests,
        })
    }
}

/// What every later step needs.
struct StartContext {
    clock: Clock,
    registry: Registry,
    /// `meetwatch_limit_reached_total`.
    limits: IntCounterVec,
    board: StatusBoard,
    readiness: Readiness,
    seed: u64,
    abort: AbortFailpoint,
}

impl StartContext {
    fn new(config: &Config, seed: u64, abort: AbortFailpoint) -> Result<Self, StartError> {
        let registry = Registry::new();
        let board = StatusBoard::default();
        let limits = serve::metrics::limit_reached(&registry)?;
        serve::metrics::register(&registry, &board, config.server.max_conferences)?;
        Ok(Self { clock: Clock::new(), registry, limits, board, readiness: Readiness::default(), seed, abort })
    }

    async fn open_store(&self, config: &Config) -> Result<Store, StartError> {
        let metrics = StoreMetrics::register(&self.registry)?;
        let (path, clock, abort) = (config.store.path.clone(), self.clock, self.abort.clone());
        let opened = tokio::task::spawn_blocking(move || {
            let was_here = store_was_here(&path);
            let opened = Store::open_aborting_at(&path, clock, metrics, abort);
            if was_here && opened.is_ok() {
                tracing::warn!(
                    path = %path.display(),
                    "the store file is missing but its token file exists; an empty store was created: events, deliveries and the list of forgotten people are gone; if the file was moved or deleted by mistake, stop the daemon and restore it"
                );
            }
            opened
        })
        .await;
        // If the task panicked, the store was never open.
        let store = opened.map_err(|_| StoreError::Closed)?.map_err(StartError::Store)?;
        self.readiness.set_store_open(true);
        Ok(store)
    }

    /// Stores which endpoints the configuration has, and registers the metrics of their backlogs. Returns the list of
    /// names that these metrics show.
    async fn configure_endpoints(&self, config: &Config, store: &Store) -> Result<ShownEndpoints, StartError> {
        let configured = config.webhooks.iter().map(EndpointSettings::store_config).collect();
        store.configure(configured, self.clock.now().wall).await?;
        let names = config.webhooks.iter().map(|endpoint| endpoint.name.clone()).collect();
        let collector = store.outbox_collector(names)?;
        let shown = collector.endpoints();
        self.registry.register(Box::new(collector))?;
        Ok(shown)
    }

    fn google_client(&self, config: &Config) -> Result<Client, StartError> {
        Ok(Client::new(&meet::ClientParts {
            google: &config.google,
            identities: &config.identities,
            clock: self.clock,
            seed: self.seed,
            registry: &self.registry,
            limits: &self.limits,
            status: self.board.clone(),
            retry: RetryPolicy::default(),
        })?)
    }

    /// Builds the schedule, which continues with the conferences and targets that the store holds.
    async fn scheduler(
        &self,
        config: &Config,
        client: &Client,
        store: &Store,
        metrics: watch::WatchMetrics,
    ) -> Result<Scheduler, StartError> {
        let setup = watch_setup(config, client);
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
        let random = Random::with_seed(self.seed);
        Ok(Scheduler::new(setup, memory, backoff, random, metrics, self.board.clone(), self.clock.now()))
    }

    fn dispatcher(&self, config: &Config, store: &Store) -> Result<Dispatcher, StartError> {
        let names = config.webhooks.iter().map(|endpoint| &endpoint.name);
        let metrics = WebhookMetrics::register(&self.registry, names)?;
        // Not the seed of the schedule, so that the two do not draw the same jitter.
        let random = Random::with_seed(self.seed.rotate_left(32));
        let options = delivery::DispatcherOptions::default();
        let dispatcher = Dispatcher::new(&config.webhooks, store.clone(), self.clock, metrics, random, &options)?;
        Ok(dispatcher.aborting_at(self.abort.clone()))
    }

    /// Collects what the loop that watches needs.
    fn watching(
        &self,
        client: &Client,
        store: &Store,
        metrics: watch::WatchMetrics,
        hang: HangFailpoint,
    ) -> watch::WatchParts<Client> {
        watch::WatchParts {
            reader: Arc::new(client.clone()),
            store: store.clone(),
            clock: self.clock,
            metrics,
            heartbeat: Heartbeat::default(),
            hang,
        }
    }

    /// Watches the heartbeats of the daemon's loops.
    fn liveness(&self, polling: &Heartbeat, store: &Store, dispatcher: &Dispatcher) -> Liveness {
        let loops = [
            ("polling", polling.clone(), LOOP_DEADLINE),
            ("writing", store.heartbeat(), WRITER_DEADLINE),
            ("delivering", dispatcher.heartbeat(), LOOP_DEADLINE),
        ];
        let watched = loops.map(|(name, heartbeat, deadline)| WatchedLoop { name, heartbeat, deadline });
        Liveness::new(watched.into(), self.clock.mono())
    }

    fn server(
        &self,
        socket: BoundSocket,
        store: &Store,
        live_config: LiveConfigCell,
        reload: &ReloadHandle,
        liveness: Liveness,
        limits: LearnedLimits,
    ) -> Server {
        let parts = ServerParts {
            registry: self.registry.clone(),
            board: self.board.clone(),
            readiness: self.readiness.clone(),
            liveness,
            limit_reached: self.limits.clone(),
            live_config,
            endpoint_limits: Arc::new(limits),
            api: ApiContext { store: store.clone(), clock: self.clock },
            reload: Arc::new(reload.clone()),
        };
        Server::new(socket, parts)
    }

    fn reloader(
        &self,
        running: Config,
        store: &Store,
        targets: ReloadTargets,
        notifier: &Notifier,
    ) -> Result<Reloader, StartError> {
        let metrics = ReloadMetrics::register(&self.registry, self.clock)?;
        let (store, notifier) = (store.clone(), notifier.clone());
        Ok(Reloader { running, clock: self.clock, store, targets, metrics, notifier })
    }
}

/// Whether there is no store at `path`, and yet a file that the daemon makes beside it.
fn store_was_here(path: &Path) -> bool {
    let beside = [token::path_beside(path), pseudonym_key::path_beside(path)];
    matches!(path.try_exists(), Ok(false)) && beside.iter().any(|file| file.exists())
}
