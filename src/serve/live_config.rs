//! The part of the server's configuration that a reload replaces: keys, hosts, TLS, and the endpoints. It is replaced as a
//! whole, so that no request sees parts of two configurations.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use secrecy::SecretString;

use super::auth::keys::Keys;
use super::configured_endpoint::{EndpointDescription, EndpointTester};
use super::listener::tls::{BadServerTls, Tls};
use super::settings::{Expose, ServerSettings};
use crate::model::TargetName;

/// The reloadable part of one configuration.
pub struct LiveConfig {
    /// The configured token, or the one from [`load_or_create`](super::auth::token::load_or_create). Opens everything.
    pub(super) all: Keys,
    pub(super) api: Keys,
    pub(super) metrics: Keys,
    pub(super) hosts: Vec<String>,
    /// What may be read without a key.
    pub(super) open: Expose,
    pub(super) tls: Option<Arc<Tls>>,
    /// The configured endpoints.
    pub(super) endpoints: Vec<EndpointDescription>,
    pub(super) tester: Arc<dyn EndpointTester>,
    /// The names of the configured targets.
    pub(super) targets: Vec<TargetName>,
}

impl LiveConfig {
    /// Prepares a configuration. Metrics and health need no key on loopback and on a unix socket, or where `expose` names
    /// them; the metrics always need one if they have keys of their own. Reads the TLS files: blocking.
    ///
    /// # Errors
    /// [`BadServerTls`]
    pub fn new(
        settings: &ServerSettings,
        token: SecretString,
        endpoints: Vec<EndpointDescription>,
        tester: Arc<dyn EndpointTester>,
    ) -> Result<Self, BadServerTls> {
        let local = settings.listen.is_local();
        let open = Expose {
            metrics: (local || settings.expose.metrics) && settings.metrics.is_empty(),
            health: local || settings.expose.health,
        };
        Ok(Self {
            all: Keys { token: Some(token), ..Keys::default() },
            api: settings.api.clone(),
            metrics: settings.metrics.clone(),
            hosts: settings.hosts.clone(),
            open,
            tls: settings.tls.as_ref().map(Tls::load).transpose()?.map(Arc::new),
            endpoints,
            tester,
            targets: Vec::new(),
        })
    }

    /// Adds the names of the configured targets.
    #[must_use]
    pub fn with_targets(self, targets: Vec<TargetName>) -> Self {
        Self { targets, ..self }
    }
}

impl fmt::Debug for LiveConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveConfig").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

/// Holds the configuration in force. Clones share it.
#[derive(Debug, Clone)]
pub struct LiveConfigCell(Arc<RwLock<Arc<LiveConfig>>>);

impl LiveConfigCell {
    #[must_use]
    pub fn new(config: LiveConfig) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(config))))
    }

    /// Returns the configuration in force. A reload in between changes it, so call this once per decision.
    #[must_use]
    pub fn current(&self) -> Arc<LiveConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the configuration.
    pub fn set(&self, config: LiveConfig) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }
}
