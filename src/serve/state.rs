//! What the handlers of all requests share.

use std::fmt;
use std::sync::Arc;

use prometheus::{IntCounterVec, Registry};
use tokio::sync::Semaphore;

use super::auth::authenticator::Authenticator;
use super::configured_endpoint::EndpointLimits;
use super::live_config::LiveConfigCell;
use super::readiness::{Readiness, ReadinessConditions};
use super::reload::Reload;
use crate::clock::Clock;
use crate::heartbeat::Liveness;
use crate::status::StatusBoard;
use crate::store::Store;

/// How many scrapes are rendered at once. Further ones wait.
const MAX_CONCURRENT_SCRAPES: usize = 4;

/// What the server is made of, besides its settings.
#[derive(Clone)]
pub struct ServerParts {
    /// Holds what [`metrics`](super::metrics) and the other modules registered.
    pub registry: Registry,
    pub board: StatusBoard,
    pub readiness: Readiness,
    pub liveness: Liveness,
    /// As [`limit_reached`](super::metrics::limit_reached) returned it.
    pub limit_reached: IntCounterVec,
    pub live_config: LiveConfigCell,
    pub api: ApiContext,
    pub endpoint_limits: Arc<dyn EndpointLimits>,
    pub reload: Arc<dyn Reload>,
}

impl fmt::Debug for ServerParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerParts").finish_non_exhaustive()
    }
}

/// What the API reads and writes.
#[derive(Debug, Clone)]
pub struct ApiContext {
    pub store: Store,
    pub clock: Clock,
}

/// What every handler can reach.
pub(super) struct ServerState {
    pub(super) registry: Registry,
    pub(super) board: StatusBoard,
    readiness: Readiness,
    liveness: Liveness,
    pub(super) live_config: LiveConfigCell,
    pub(super) authenticator: Authenticator,
    pub(super) scrapes: Semaphore,
    pub(super) api: ApiContext,
    pub(super) endpoint_limits: Arc<dyn EndpointLimits>,
    pub(super) reload: Arc<dyn Reload>,
}

impl ServerState {
    pub(super) fn new(parts: ServerParts) -> Self {
        let ServerParts {
            registry,
            board,
            readiness,
            liveness,
            limit_reached,
            live_config,
            api,
            endpoint_limits,
            reload,
        } = parts;
        let authenticator = Authenticator::new(api.clock, limit_reached.with_label_values(&["password_checks"]));
        let scrapes = Semaphore::new(MAX_CONCURRENT_SCRAPES);
        Self { registry, board, readiness, liveness, live_config, authenticator, scrapes, api, endpoint_limits, reload }
    }

    /// Returns the conditions of readiness at this moment.
    pub(super) fn conditions(&self) -> ReadinessConditions {
        self.readiness.conditions(self.api.store.outage(), self.stalled())
    }

    /// Returns the names of the loops that are stalled. At a stop the loops end one after the other, so none counts.
    pub(super) fn stalled(&self) -> Vec<&'static str> {
        if self.readiness.is_stopping() { Vec::new() } else { self.liveness.stalled(self.api.clock.mono()) }
    }
}
