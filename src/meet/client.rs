//! The client: every identity's way to Google, cheap to clone, made once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus::{IntCounterVec, Registry};
use reqwest::{Url, redirect};

use super::auth::{Source, Tokens, Web};
use super::error::{ReadError, Reason};
use super::failure::Failure;
use super::health::Health;
use super::metrics::Metrics;
use super::quota::{LONGEST_WAIT, Quota, QuotaCollector};
use super::remedy;
use super::request::{Base, Method};
use super::retry::RetryPolicy;
use super::settings::{GoogleSettings, IdentitySettings};
use crate::backoff::Random;
use crate::clock::Clock;
use crate::model::IdentityName;
use crate::status::StatusBoard;

/// How we call ourselves to Google.
const USER_AGENT: &str = concat!("meetwatch/", env!("CARGO_PKG_VERSION"));

/// What a client is made of.
#[derive(Debug, Clone)]
pub struct Parts<'a> {
    pub google: &'a GoogleSettings,
    pub identities: &'a [IdentitySettings],
    pub clock: Clock,
    /// For the jitter of retries.
    pub seed: u64,
    /// Takes this room's metrics.
    pub registry: &'a Registry,
    /// `meetwatch_limit_reached_total`, with the label `limit`.
    pub limits: &'a IntCounterVec,
    /// Shows how each identity fares.
    pub status: StatusBoard,
    pub retry: RetryPolicy,
}

/// A client that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The certificates of this machine or the proxy's address are of no use.
    #[error("cannot set up the connection to Google")]
    Http(#[source] reqwest::Error),
    /// A metric of this name exists.
    #[error("cannot register the metrics of reading Google")]
    Metrics(#[source] prometheus::Error),
}

/// Reads Google for all identities. Clones share everything: quota, tokens, connections.
#[derive(Debug, Clone)]
pub struct Client(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) http: reqwest::Client,
    pub(super) meet: Base,
    pub(super) people: Base,
    identities: BTreeMap<IdentityName, Identity>,
    pub(super) quota: Quota,
    pub(super) metrics: Metrics,
    pub(super) clock: Clock,
    pub(super) random: Mutex<Random>,
    pub(super) retry: RetryPolicy,
    pub(super) max_body_bytes: usize,
    pub(super) max_pages: u32,
}

/// One identity, ready to read.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) name: IdentityName,
    pub(super) tokens: Tokens,
    pub(super) health: Health,
}

impl Client {
    /// Makes a client. No file is read and nobody is asked before the first read.
    ///
    /// # Errors
    /// [`SetupError`]
    pub fn new(parts: &Parts<'_>) -> Result<Self, SetupError> {
        let google = parts.google;
        let web = web(google.proxy.as_ref(), google.timeout).map_err(SetupError::Http)?;
        let names = parts.identities.iter().map(|identity| &identity.name);
        let metrics = Metrics::new(parts.registry, parts.limits, names.clone()).map_err(SetupError::Metrics)?;
        let quota = Quota::new(&google.quota, names, parts.clock, LONGEST_WAIT);
        let levels = QuotaCollector::new(quota.gates()).map_err(SetupError::Metrics)?;
        parts.registry.register(Box::new(levels)).map_err(SetupError::Metrics)?;
        let identity = |settings: &IdentitySettings| Identity {
            name: settings.name.clone(),
            tokens: Tokens::new(
                Source::new(settings.credentials.clone(), web.clone(), parts.clock),
                parts.clock,
                google.token_timeout,
            ),
            health: Health::new(settings.name.clone(), metrics.identity_up(&settings.name), parts.status.clone()),
        };
        Ok(Self(Arc::new(Inner {
            meet: Base::new(&google.endpoint, "v2"),
            people: Base::new(&google.people_endpoint, "v1"),
            identities: parts.identities.iter().map(|settings| (settings.name.clone(), identity(settings))).collect(),
            quota,
            metrics,
            clock: parts.clock,
            random: Mutex::new(Random::with_seed(parts.seed)),
            retry: parts.retry,
            max_body_bytes: google.max_body_bytes,
            max_pages: google.max_pages,
            http: web.http,
        })))
    }

    /// Reads of the Meet API a minute that this identity can do for ever, were it alone. Zero for one that is unknown.
    #[must_use]
    pub fn budget_per_minute(&self, identity: &IdentityName) -> f64 {
        self.0.quota.user_budget(identity)
    }

    /// Reads of the Meet API a minute that all identities together can do for ever.
    #[must_use]
    pub fn project_budget_per_minute(&self) -> f64 {
        self.0.quota.project_budget()
    }
}

impl Inner {
    /// The identity of that name.
    pub(super) fn identity(&self, name: &IdentityName, method: Method) -> Result<&Identity, ReadError> {
        let unknown = || Failure::new(Reason::Credentials, "no such identity", remedy::NO_SUCH_IDENTITY).during(method);
        self.identities.get(name).ok_or_else(unknown)
    }
}

/// The ways out. Redirects are not followed, because a token goes to nobody but whom it was made for; no proxy is taken
/// from the environment.
pub(super) fn web(proxy: Option<&Url>, timeout: Duration) -> reqwest::Result<Web> {
    let builder = || {
        reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(timeout)
            // A connection that died unnoticed would take every read of its identity with it, one timeout each.
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(10))
    };
    let direct = builder().build()?;
    let http = match proxy {
        Some(proxy) => builder().proxy(reqwest::Proxy::all(proxy.clone())?).build()?,
        None => direct.clone(),
    };
    Ok(Web { http, direct, proxy: proxy.cloned() })
}
