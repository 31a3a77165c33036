//! The configuration, read again while everything runs.
//!
//! First everything new is made and judged, and whatever is wrong leaves everything as it was. Then one thing is written, which
//! may fail and then changes nothing either: what the store has to know of the endpoints. From there on nothing can fail: each
//! part takes over between two of its steps. What an operator gets is what a restart with the new file would have brought,
//! but that nothing under way is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prometheus::{Gauge, IntGauge, Registry};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{front, give_pseudonyms, server_token, setup};
use crate::clock::Clock;
use crate::config::{self, Config, ConfigFile, Problem};
use crate::delivery::{self, EndpointSet, EndpointSettings, Policy};
use crate::log::Level;
use crate::meet::settings::IdentitySettings;
use crate::meet::{Client, Renewal};
use crate::model::IdentityName;
use crate::serve::{LiveConfig, LiveConfigCell, NotReloaded, Reload};
use crate::store::{ShownEndpoints, Store, TargetRow};
use crate::systemd::Notifier;
use crate::watch::{ReconfigureSender, Revision};

/// How many may wait for a reload; whoever comes then is told to come again.
const MOST_WAITING: usize = 16;

/// How long the store may take to write what it has to know.
const STORE_WAIT: Duration = Duration::from_secs(20);

/// `meetwatch_config_last_reload_successful` and `meetwatch_config_last_reload_success_timestamp_seconds`.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    successful: IntGauge,
    timestamp: Gauge,
    clock: Clock,
}

impl Metrics {
    /// A daemon that starts has read its configuration.
    pub(super) fn register(registry: &Registry, clock: Clock) -> prometheus::Result<Self> {
        let successful = IntGauge::new(
            "meetwatch_config_last_reload_successful",
            "Whether the configuration was taken over when it was last read (1) or not (0).",
        )?;
        let timestamp = Gauge::new(
            "meetwatch_config_last_reload_success_timestamp_seconds",
            "When the configuration was last taken over.",
        )?;
        registry.register(Box::new(successful.clone()))?;
        registry.register(Box::new(timestamp.clone()))?;
        let metrics = Self { successful, timestamp, clock };
        metrics.note(true);
        Ok(metrics)
    }

    fn note(&self, well: bool) {
        self.successful.set(i64::from(well));
        if well {
            self.timestamp.set(self.clock.now().wall.as_duration().as_secs_f64());
        }
    }
}

/// Asks for a reload. Clones ask the same daemon.
#[derive(Debug, Clone)]
pub struct Reloads(mpsc::Sender<oneshot::Sender<Outcome>>);

type Outcome = Result<Vec<String>, NotReloaded>;

/// Those who ask for a reload, in their order.
pub(super) type Asked = mpsc::Receiver<oneshot::Sender<Outcome>>;

impl Reloads {
    pub(super) fn new() -> (Self, Asked) {
        let (sender, receiver) = mpsc::channel(MOST_WAITING);
        (Self(sender), receiver)
    }

    /// Has the configuration read again and taken over, or says why not; the log says it too. Returns the warnings.
    ///
    /// # Errors
    /// [`NotReloaded`]; everything goes on as before.
    pub async fn ask(&self) -> Result<Vec<String>, NotReloaded> {
        let (reply, answer) = oneshot::channel();
        match self.0.try_send(reply) {
            Ok(()) => answer.await.unwrap_or_else(|_| Err(stopping())),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(stopping()),
            Err(mpsc::error::TrySendError::Full(_)) => {
                Err(NotReloaded::Unavailable("too many wait for a reload already; nothing was changed".to_owned()))
            }
        }
    }
}

impl Reload for Reloads {
    fn reload(&self) -> Pin<Box<dyn Future<Output = Outcome> + Send>> {
        let reloads = self.clone();
        Box::pin(async move { reloads.ask().await })
    }
}

fn stopping() -> NotReloaded {
    NotReloaded::Unavailable("the daemon is about to stop; nothing was changed".to_owned())
}

/// What a reload reaches.
#[derive(Debug)]
pub(super) struct Reloader {
    /// The configuration that holds.
    pub(super) running: Config,
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) client: Client,
    pub(super) watching: ReconfigureSender<Client>,
    pub(super) sending: delivery::ReconfigureHandle,
    pub(super) retention: watch::Sender<Duration>,
    pub(super) shown: ShownEndpoints,
    pub(super) fronts: LiveConfigCell,
    pub(super) level: Option<Level>,
    pub(super) metrics: Metrics,
    /// Hears of the beginning and the end of each reload.
    pub(super) notifier: Notifier,
}

/// Everything new, made and judged.
struct Prepared {
    config: Config,
    renewal: Renewal,
    remembered: Vec<TargetRow>,
    replaced: BTreeSet<IdentityName>,
    renamed: BTreeMap<IdentityName, IdentityName>,
    endpoints: EndpointSet,
    front: LiveConfig,
}

impl Reloader {
    /// Reloads whenever somebody asks, until `stop`. Whoever asks while a reload is under way gets one of their own, since
    /// the file may have changed; those who wait together share one.
    pub(super) async fn run(mut self, mut asked: Asked, stop: CancellationToken) {
        while let Some(Some(first)) = stop.run_until_cancelled(asked.recv()).await {
            let mut waiting = vec![first];
            while let Ok(another) = asked.try_recv() {
                waiting.push(another);
            }
            let outcome = self.reload(&stop).await;
            for reply in waiting {
                // Whoever asked and went away has the log.
                let _gone = reply.send(outcome.clone());
            }
        }
    }

    /// One reload, from its announcement to its end. The one place for whoever has to be told of both.
    async fn reload(&mut self, stop: &CancellationToken) -> Outcome {
        self.begins().await;
        let outcome = match stop.run_until_cancelled(self.prepare()).await {
            None => Err(stopping()),
            Some(Err(refused)) => Err(refused),
            Some(Ok(prepared)) => self.switch(prepared).await,
        };
        self.ends(&outcome).await;
        outcome
    }

    async fn begins(&self) {
        tracing::info!("reading the configuration again");
        self.notifier.reloading().await;
    }

    async fn ends(&self, outcome: &Outcome) {
        self.metrics.note(outcome.is_ok());
        match outcome {
            Ok(warnings) => {
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
                tracing::info!(
                    targets = self.running.targets.len(),
                    identities = self.running.identities.len(),
                    webhooks = self.running.webhooks.len(),
                    "the configuration was taken over"
                );
            }
            Err(why) => {
                tracing::error!("the configuration was not taken over, and everything goes on as before: {why}");
            }
        }
        self.notifier.ready().await;
    }

    /// Makes and judges everything new. Nothing changes.
    async fn prepare(&self) -> Result<Prepared, NotReloaded> {
        let source = self.running.source.clone().ok_or_else(|| {
            NotReloaded::Refused("the configuration was not read from a file, so there is nothing to read again".into())
        })?;
        let read = tokio::task::spawn_blocking(move || read(&source)).await;
        let mut config = read.map_err(|_| unavailable("the configuration could not be read"))??;
        if self.running.server.inherited.is_some() {
            // Where it listens was not the file's to say.
            config.server.listen = self.running.server.listen.clone();
            config.server.inherited.clone_from(&self.running.server.inherited);
        }
        if let Some(key) = what_needs_a_restart(&self.running, &config) {
            return Err(NotReloaded::Refused(format!(
                "`{key}` cannot change while the daemon runs: restart it, or put the old value back; nothing was changed"
            )));
        }
        give_pseudonyms(&mut config).await.map_err(|error| unavailable(&error.to_string()))?;
        let token = server_token(&config).await.map_err(|error| unavailable(&error.to_string()))?;
        let failed = |error: &dyn std::error::Error| NotReloaded::Refused(format!("{error}; nothing was changed"));
        let renewal = self.client.renewal(&config.google, &config.identities).map_err(|error| failed(&error))?;
        let endpoints = EndpointSet::new(&config.webhooks, self.clock, Policy::of).map_err(|error| failed(&error))?;
        let tester = front::probe(&config, self.clock).map_err(|error| failed(&error))?;
        let front = front::make(&config, token, tester).await.map_err(|error| failed(&error))?;
        let remembered = self.store.targets().await.map_err(|_| unavailable("the store could not be read"))?;
        let (replaced, renamed) = (replaced(&self.running, &config), renamed(&self.running, &config));
        Ok(Prepared { config, renewal, remembered, replaced, renamed, endpoints, front })
    }

    /// Takes over what was prepared. Not to be broken off.
    async fn switch(&mut self, prepared: Prepared) -> Outcome {
        let Prepared { config, renewal, remembered, replaced, renamed, endpoints, front } = prepared;
        let configured = config.webhooks.iter().map(EndpointSettings::outbox).collect();
        let noted = self.store.configure(configured, self.clock.now().wall);
        match tokio::time::timeout(STORE_WAIT, noted).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(reason = error.reason(), "the endpoints could not be noted: {error}");
                return Err(unavailable("the store could not be written"));
            }
            Err(_) => return Err(unavailable("the store did not answer in time")),
        }
        // Whoever sends knows of a new endpoint before anything is owed to it.
        let taken = self.sending.replace(endpoints).await;
        self.client = renewal.apply();
        let revision = Revision { setup: setup(&config, &self.client), remembered, replaced, renamed };
        if !self.watching.take_over(Arc::new(self.client.clone()), revision).await || !taken {
            // They end only with the daemon, and after this.
            return Err(stopping());
        }
        self.fronts.set(front);
        self.shown.set(config.webhooks.iter().map(|endpoint| endpoint.name.clone()).collect());
        self.retention.send_replace(config.store.retention);
        if let Some(level) = &self.level {
            level.set(config.log.level);
        }
        let warnings = config.warnings.iter().map(ToString::to_string).collect();
        self.running = config;
        Ok(warnings)
    }
}

fn unavailable(why: &str) -> NotReloaded {
    NotReloaded::Unavailable(format!("{why}; nothing was changed"))
}

/// Reads the file and those that it names. One that is being written at this moment is refused, and so is one that names
/// files that have vanished: at a start they may still come, but here something works without them.
fn read(source: &ConfigFile) -> Result<Config, NotReloaded> {
    let looks = || {
        let metadata = std::fs::metadata(&source.path).ok()?;
        let changed: Option<SystemTime> = metadata.modified().ok();
        Some((metadata.len(), changed))
    };
    let before = looks();
    let config = config::load(&source.path, &source.environment)
        .map_err(|problems| NotReloaded::Refused(in_one_line(problems.as_slice().iter())))?;
    if looks() != before {
        return Err(NotReloaded::Refused(
            "the file was changed while it was read; reload once it is whole; nothing was changed".into(),
        ));
    }
    match in_one_line(config.missing_files()) {
        missing if missing.is_empty() => Ok(config),
        missing => Err(NotReloaded::Refused(missing)),
    }
}

fn in_one_line<'p>(problems: impl Iterator<Item = &'p Problem>) -> String {
    problems.map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The first key that has changed and that only a start reads.
fn what_needs_a_restart(running: &Config, new: &Config) -> Option<&'static str> {
    let changed = [
        ("store.path", running.store.path != new.store.path),
        ("server.listen", running.server.listen != new.server.listen),
        ("metrics.max_conferences", running.server.max_conferences != new.server.max_conferences),
        ("log.format", running.log.format != new.log.format),
    ];
    changed.into_iter().find(|(_, changed)| *changed).map(|(key, _)| key)
}

/// Identities of the same name with other credentials: they may stand for somebody else.
fn replaced(running: &Config, new: &Config) -> BTreeSet<IdentityName> {
    let before = |name: &IdentityName| running.identities.iter().find(|before| before.name == *name);
    let other = |identity: &&IdentitySettings| {
        before(&identity.name).is_some_and(|before| before.credentials != identity.credentials)
    };
    new.identities.iter().filter(other).map(|identity| identity.name.clone()).collect()
}

/// Identities of another name with the same credentials, by the names that are gone.
fn renamed(running: &Config, new: &Config) -> BTreeMap<IdentityName, IdentityName> {
    let is_in = |config: &Config, name: &IdentityName| config.identities.iter().any(|one| one.name == *name);
    let gone = running.identities.iter().filter(|identity| !is_in(new, &identity.name));
    gone.filter_map(|identity| {
        let mut heirs = new.identities.iter().filter(|heir| !is_in(running, &heir.name));
        let heir = heirs.find(|heir| heir.credentials == identity.credentials)?;
        Some((identity.name.clone(), heir.name.clone()))
    })
    .collect()
}
