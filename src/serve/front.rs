//! What of the server comes from the configuration and may change while it runs: who may see what, and which endpoints there
//! are. Replaced whole, so that every request meets one configuration and not parts of two.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use secrecy::SecretString;

use super::desk::{EndpointCard, Tester};
use super::keys::Keys;
use super::settings::{Expose, ServerSettings};
use super::tls::{BadServerTls, Tls};

/// One configuration's.
pub struct Front {
    /// The configured token, or the one that [`load_or_create`](super::token::load_or_create) gave. Opens everything.
    pub(super) all: Keys,
    pub(super) api: Keys,
    pub(super) metrics: Keys,
    pub(super) hosts: Vec<String>,
    /// What may be read without a key.
    pub(super) open: Expose,
    pub(super) tls: Option<Arc<Tls>>,
    /// The configured endpoints.
    pub(super) endpoints: Vec<EndpointCard>,
    pub(super) tester: Arc<dyn Tester>,
}

impl Front {
    /// On this machine alone, metrics and health are open; elsewhere only if `expose` says so; and metrics to nobody without a
    /// key where there are keys of theirs. Reads the files of TLS; not for a task.
    ///
    /// # Errors
    /// [`BadServerTls`]
    pub fn new(
        settings: &ServerSettings,
        token: SecretString,
        endpoints: Vec<EndpointCard>,
        tester: Arc<dyn Tester>,
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
        })
    }
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

/// The front that holds at the time. Clones are the same.
#[derive(Debug, Clone)]
pub struct Fronts(Arc<RwLock<Arc<Front>>>);

impl Fronts {
    #[must_use]
    pub fn new(front: Front) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(front))))
    }

    /// The front that holds now. A request asks once for each thing it decides.
    #[must_use]
    pub fn now(&self) -> Arc<Front> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another in its place, whole.
    pub fn set(&self, front: Front) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(front);
    }
}

/// Has the configuration read again.
pub trait Reload: Send + Sync {
    /// Reads it and takes it over, or says why not. Returns the warnings.
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<Vec<String>, NotReloaded>> + Send>>;
}

/// Why everything goes on as before, in one sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReloaded {
    /// The configuration is no good, or cannot be taken over without a restart.
    #[error("{0}")]
    Refused(String),
    /// It could not be done now.
    #[error("{0}")]
    Unavailable(String),
}
