//! Replaces the configuration while the daemon runs.
//!
//! A reload has three steps. *Prepare* reads the file and builds everything that the new configuration needs; an error
//! there changes nothing. Then the endpoints are written to the store; an error there changes nothing either. Finally each
//! part of the daemon takes over its new settings between two of its turns, which cannot fail. The result is that of a
//! restart with the new file, except that work in progress continues.

mod difference;
mod handle;
mod metrics;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::difference::{renamed_identities, replaced_identities, restart_only_key};
pub use self::handle::ReloadHandle;
pub(super) use self::handle::ReloadRequests;
use self::handle::{ReloadOutcome, stopping};
pub(super) use self::metrics::ReloadMetrics;
use super::front;
use super::secrets::{load_pseudonym_key, server_token};
use super::watch_setup::watch_setup;
use crate::clock::Clock;
use crate::config::Config;
use crate::delivery::{self, EndpointSet, EndpointSettings, Policy};
use crate::log::Level;
use crate::meet::{Client, Renewal};
use crate::model::IdentityName;
use crate::serve::{LiveConfig, LiveConfigCell, NotReloaded};
use crate::store::{ShownEndpoints, Store, TargetRow};
use crate::systemd::Notifier;
use crate::watch::{ReconfigureSender, Revision};

/// How long the store may take to write the endpoints.
const STORE_WAIT: Duration = Duration::from_secs(20);

/// Reloads the configuration, and hands it to the parts of the daemon.
#[derive(Debug)]
pub(super) struct Reloader {
    /// The configuration in force.
    pub(super) running: Config,
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) targets: ReloadTargets,
    pub(super) metrics: ReloadMetrics,
    /// Is notified of the beginning and the end of each reload.
    pub(super) notifier: Notifier,
}

/// The parts of the daemon that take over a new configuration.
#[derive(Debug)]
pub(super) struct ReloadTargets {
    pub(super) client: Client,
    pub(super) watching: ReconfigureSender<Client>,
    pub(super) sending: delivery::ReconfigureHandle,
    pub(super) retention: watch::Sender<Duration>,
    /// The endpoints that the metrics show.
    pub(super) endpoint_names: ShownEndpoints,
    pub(super) live_config: LiveConfigCell,
    pub(super) log_level: Option<Level>,
}

/// Everything that a new configuration needs, checked and built.
struct PreparedReload {
    config: Config,
    renewal: Renewal,
    remembered: Vec<TargetRow>,
    replaced: BTreeSet<IdentityName>,
    renamed: BTreeMap<IdentityName, IdentityName>,
    endpoints: EndpointSet,
    front: LiveConfig,
}

impl Reloader {
    /// Serves requests until `stop`. Requests that wait together share one reload. A request that comes during a reload
    /// gets another one, because the file may have changed since.
    pub(super) async fn run(mut self, mut requests: ReloadRequests, stop: CancellationToken) {
        while let Some(Some(first)) = stop.run_until_cancelled(requests.recv()).await {
            let mut waiting = vec![first];
            while let Ok(another) = requests.try_recv() {
                waiting.push(another);
            }
            let outcome = self.reload(&stop).await;
            for reply in waiting {
                // The requester may have gone; the outcome is in the log.
                let _gone = reply.send(outcome.clone());
            }
        }
    }

    /// Does one reload and announces its beginning and its end.
    async fn reload(&mut self, stop: &CancellationToken) -> ReloadOutcome {
        self.announce_start().await;
        let outcome = match stop.run_until_cancelled(self.prepare()).await {
            None => Err(stopping()),
            Some(Err(refused)) => Err(refused),
            Some(Ok(prepared)) => self.apply(prepared).await,
        };
        self.announce_end(&outcome).await;
        outcome
    }

    async fn announce_start(&self) {
        tracing::info!("reloading the configuration");
        self.notifier.reloading().await;
    }

    async fn announce_end(&self, outcome: &ReloadOutcome) {
        self.metrics.record(outcome.is_ok());
        match outcome {
            Ok(warnings) => {
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
                tracing::info!(
                    targets = self.running.targets.len(),
                    identities = self.running.identities.len(),
                    webhooks = self.running.webhooks.len(),
                    "the configuration was reloaded"
                );
            }
            Err(why) => {
                tracing::error!("the configuration was not reloaded; the daemon keeps the previous one: {why}");
            }
        }
        self.notifier.ready().await;
    }

    /// Reads the configuration and builds what it needs. Changes nothing in the daemon. Cancel-safe.
    async fn prepare(&self) -> Result<PreparedReload, NotReloaded> {
        let source = self.running.source.clone().ok_or_else(|| {
            NotReloaded::Refused("the configuration was not read from a file, so it cannot be reloaded".into())
        })?;
        let read = tokio::task::spawn_blocking(move || read::read(&source)).await;
        let mut config = read.map_err(|_| unavailable("the configuration could not be read"))??;
        if self.running.server.inherited.is_some() {
            // The socket comes from the service manager, so the file has no say in the address.
            config.server.listen = self.running.server.listen.clone();
            config.server.inherited.clone_from(&self.running.server.inherited);
        }
        if let Some(key) = restart_only_key(&self.running, &config) {
            return Err(NotReloaded::Refused(format!(
                "`{key}` cannot change while the daemon runs: restart the daemon, or restore the old value; nothing was changed"
            )));
        }
        load_pseudonym_key(&mut config).await.map_err(|error| unavailable(&error.to_string()))?;
        let token = server_token(&config).await.map_err(|error| unavailable(&error.to_string()))?;
        let refused = |error: &dyn std::error::Error| NotReloaded::Refused(format!("{error}; nothing was changed"));
        let renewal =
            self.targets.client.renewal(&config.google, &config.identities).map_err(|error| refused(&error))?;
        let endpoints = EndpointSet::new(&config.webhooks, self.clock, Policy::of).map_err(|error| refused(&error))?;
        let front = front::build(&config, token, self.clock).await.map_err(|error| refused(&error))?;
        let remembered = self.store.targets().await.map_err(|_| unavailable("the store could not be read"))?;
        let replaced = replaced_identities(&self.running, &config);
        let renamed = renamed_identities(&self.running, &config);
        Ok(PreparedReload { config, renewal, remembered, replaced, renamed, endpoints, front })
    }

    /// Hands what was prepared to the parts of the daemon. Not cancel-safe.
    async fn apply(&mut self, prepared: PreparedReload) -> ReloadOutcome {
        let PreparedReload { config, renewal, remembered, replaced, renamed, endpoints, front } = prepared;
        self.store_endpoints(&config).await?;
        // The dispatcher must know a new endpoint before the first delivery to it is committed.
        let dispatcher_took = self.targets.sending.replace(endpoints).await;
        self.targets.client = renewal.apply();
        let revision = Revision { setup: watch_setup(&config, &self.targets.client), remembered, replaced, renamed };
        let watch_took = self.targets.watching.take_over(Arc::new(self.targets.client.clone()), revision).await;
        if !(dispatcher_took && watch_took) {
            // These loops end only with the daemon.
            return Err(stopping());
        }
        self.targets.live_config.set(front);
        self.targets.endpoint_names.set(config.webhooks.iter().map(|endpoint| endpoint.name.clone()).collect());
        self.targets.retention.send_replace(config.store.retention);
        if let Some(level) = &self.targets.log_level {
            level.set(config.log.level);
        }
        let warnings = config.warnings.iter().map(ToString::to_string).collect();
        self.running = config;
        Ok(warnings)
    }

    /// Writes the endpoints of the new configuration to the store: the last step that can fail.
    async fn store_endpoints(&self, config: &Config) -> Result<(), NotReloaded> {
        let configured = config.webhooks.iter().map(EndpointSettings::store_config).collect();
        let written = self.store.configure(configured, self.clock.now().wall);
        match tokio::time::timeout(STORE_WAIT, written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::warn!(reason = error.reason(), "the endpoints could not be written to the store: {error}");
                Err(unavailable("the store could not be written"))
            }
            Err(_) => Err(unavailable("the store did not answer in time")),
        }
    }
}

fn unavailable(why: &str) -> NotReloaded {
    NotReloaded::Unavailable(format!("{why}; nothing was changed"))
}
