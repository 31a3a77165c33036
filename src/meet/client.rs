//! The client that reads Google for all identities, and its replacement at a reload.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::auth::{TokenSource, Tokens};
use super::error::{ReadError, Reason};
use super::failure::Failure;
use super::health::IdentityHealth;
use super::http_clients::{self, HttpClients};
use super::metrics::MeetMetrics;
use super::quota::{LONGEST_WAIT, Quota, QuotaCollector, ShownLimiters};
use super::remedy;
use super::request::{Base, Method};
use super::retry::RetryPolicy;
use super::settings::{Credentials, GoogleSettings, IdentitySettings};
use crate::backoff::Random;
use crate::clock::Clock;
use crate::model::IdentityName;
use crate::status::StatusBoard;
use crate::tls_roots::ClientError;
use prometheus::{IntCounterVec, Registry};

/// What a client is built from.
#[derive(Debug, Clone)]
pub struct ClientParts<'a> {
    pub google: &'a GoogleSettings,
    pub identities: &'a [IdentitySettings],
    pub clock: Clock,
    /// For the jitter of retries.
    pub seed: u64,
    /// The metrics of this module are registered here.
    pub registry: &'a Registry,
    /// `meetwatch_limit_reached_total`, with the label `limit`.
    pub limits: &'a IntCounterVec,
    /// Shows whether each identity can read.
    pub status: StatusBoard,
    pub retry: RetryPolicy,
}

/// Why a client cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The machine's certificates or the proxy's address cannot be used.
    #[error("cannot set up the connection to Google")]
    Http(#[source] ClientError),
    /// A metric of the same name exists already.
    #[error("cannot register the metrics of the Google client")]
    MeetMetrics(#[source] prometheus::Error),
}

/// Reads Google for all identities. Clones are cheap and share quota, tokens and connections.
#[derive(Debug, Clone)]
pub struct Client(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) http: reqwest::Client,
    pub(super) meet: Base,
    pub(super) people: Base,
    identities: BTreeMap<IdentityName, Identity>,
    pub(super) quota: Quota,
    limiters: ShownLimiters,
    status: StatusBoard,
    pub(super) metrics: MeetMetrics,
    pub(super) clock: Clock,
    pub(super) random: Mutex<Random>,
    pub(super) retry: RetryPolicy,
    /// The longest time that a request takes, unless the machine is suspended.
    pub(super) timeout: Duration,
    pub(super) max_body_bytes: usize,
    pub(super) max_pages: u32,
}

/// One identity with its tokens and its health.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) name: IdentityName,
    credentials: Credentials,
    pub(super) tokens: Tokens,
    pub(super) health: IdentityHealth,
}

impl Client {
    /// Builds a client. Reads no file and sends nothing before the first read.
    ///
    /// # Errors
    /// [`SetupError`]
    pub fn new(parts: &ClientParts<'_>) -> Result<Self, SetupError> {
        let google = parts.google;
        let http = http_clients::for_google(google, parts.identities).map_err(SetupError::Http)?;
        let names = parts.identities.iter().map(|identity| &identity.name);
        let metrics = MeetMetrics::new(parts.registry, parts.limits, names.clone()).map_err(SetupError::MeetMetrics)?;
        let quota = Quota::new(&google.quota, names, parts.clock, LONGEST_WAIT);
        let limiters = ShownLimiters::new(quota.limiters());
        let levels = QuotaCollector::new(limiters.clone()).map_err(SetupError::MeetMetrics)?;
        parts.registry.register(Box::new(levels)).map_err(SetupError::MeetMetrics)?;
        let shared = ClientShared {
            quota,
            limiters,
            metrics,
            status: parts.status.clone(),
            clock: parts.clock,
            random: Random::with_seed(parts.seed),
            retry: parts.retry,
        };
        Ok(Self::of(google, parts.identities, http, shared))
    }

    fn of(google: &GoogleSettings, identities: &[IdentitySettings], http: HttpClients, shared: ClientShared) -> Self {
        let ClientShared { quota, limiters, metrics, status, clock, random, retry } = shared;
        let identity = |settings: &IdentitySettings| Identity {
            name: settings.name.clone(),
            credentials: settings.credentials.clone(),
            tokens: Tokens::new(
                TokenSource::new(settings.credentials.clone(), http.clone(), clock),
                clock,
                google.token_timeout,
            ),
            health: IdentityHealth::new(settings.name.clone(), metrics.identity_up(&settings.name), status.clone()),
        };
        Self(Arc::new(Inner {
            meet: Base::new(&google.endpoint, "v2"),
            people: Base::new(&google.people_endpoint, "v1"),
            identities: identities.iter().map(|settings| (settings.name.clone(), identity(settings))).collect(),
            quota,
            limiters,
            status,
            metrics,
            clock,
            random: Mutex::new(random),
            retry,
            max_body_bytes: google.max_body_bytes,
            timeout: google.timeout,
            max_pages: google.max_pages,
            http: http.through_proxy,
        }))
    }

    /// Prepares a client with other settings. Nothing changes before [`Renewal::apply`].
    ///
    /// # Errors
    /// [`SetupError::Http`]
    pub fn renewal(&self, google: &GoogleSettings, identities: &[IdentitySettings]) -> Result<Renewal, SetupError> {
        let http = http_clients::for_google(google, identities).map_err(SetupError::Http)?;
        Ok(Renewal { old: self.clone(), google: google.clone(), identities: identities.to_vec(), http })
    }

    /// The reads of the Meet API a minute that this identity may make at most. Zero for an unknown identity.
    #[must_use]
    pub fn limit_per_minute(&self, identity: &IdentityName) -> f64 {
        self.0.quota.user_limit(identity)
    }

    /// The reads of the Meet API a minute that all identities together may make at most.
    #[must_use]
    pub fn project_limit_per_minute(&self) -> f64 {
        self.0.quota.project_limit()
    }
}

/// What a client shares with the client that replaces it.
struct ClientShared {
    quota: Quota,
    limiters: ShownLimiters,
    metrics: MeetMetrics,
    status: StatusBoard,
    clock: Clock,
    random: Random,
    retry: RetryPolicy,
}

/// A prepared client that replaces another at a reload.
#[derive(Debug)]
pub struct Renewal {
    old: Client,
    google: GoogleSettings,
    identities: Vec<IdentitySettings>,
    http: HttpClients,
}

impl Renewal {
    /// Returns the client with the new settings. It shares metrics and quota with the old one, which may finish its reads.
    /// It gets new tokens, so every credentials file is read again.
    #[must_use]
    pub fn apply(self) -> Client {
        let Self { old: Client(old), google, identities, http } = self;
        let quota = old.quota.renewed(&google.quota, known_as(&old.identities, &identities).into_iter());
        old.limiters.set(quota.limiters());
        let names: BTreeSet<_> = identities.iter().map(|identity| &identity.name).collect();
        old.status.write().identities.retain(|name, _| names.contains(name));
        old.identities
            .keys()
            .filter(|name| !names.contains(name))
            .for_each(|removed| old.metrics.remove_series(removed));
        old.metrics.create_series(names.iter().copied());
        let random = old.random.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let shared = ClientShared {
            quota,
            limiters: old.limiters.clone(),
            metrics: old.metrics.clone(),
            status: old.status.clone(),
            clock: old.clock,
            random,
            retry: old.retry,
        };
        Client::of(&google, &identities, http, shared)
    }
}

/// Each identity with the name under which its quota is kept: its own name, or that of a removed identity with the same
/// credentials.
fn known_as<'a>(
    old: &'a BTreeMap<IdentityName, Identity>,
    identities: &'a [IdentitySettings],
) -> Vec<(&'a IdentityName, &'a IdentityName)> {
    let removed = |name: &IdentityName| !identities.iter().any(|identity| identity.name == *name);
    let one = |settings: &'a IdentitySettings| {
        let mut renamed =
            old.values().filter(|other| removed(&other.name) && other.credentials == settings.credentials);
        let own = old.get_key_value(&settings.name).map(|(name, _)| name);
        (&settings.name, own.or_else(|| renamed.next().map(|other| &other.name)).unwrap_or(&settings.name))
    };
    identities.iter().map(one).collect()
}

impl Inner {
    /// The identity with this name.
    ///
    /// # Errors
    /// `credentials` if there is none; `method` is what was attempted.
    pub(super) fn identity(&self, name: &IdentityName, method: Method) -> Result<&Identity, ReadError> {
        let unknown =
            || Failure::new(Reason::Credentials, "no identity has this name", remedy::NO_SUCH_IDENTITY).during(method);
        self.identities.get(name).ok_or_else(unknown)
    }
}
