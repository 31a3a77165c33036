//! The settings of an endpoint. `config` makes and validates them; no other code needs to check them again.

use std::fmt;
use std::time::Duration;

use super::http::Url;

use super::format::Format;
use super::http::sign::SigningSecret;
use super::names::Names;
use crate::model::{EndpointName, Route};
use crate::store::EndpointConfig;

pub use super::http::answer_patterns::{AnswerPattern, AnswerPatterns};
pub use super::http::guard::{is_public, refuses_literal};
pub use super::http::headers::ExtraHeaders;
pub use super::http::tls::{BadTls, TlsSettings};
pub use crate::pseudonym::PseudonymKey;
pub use crate::store::Batching;

/// One `[[webhook]]`. Its `Debug` form shows neither the secrets nor the address.
#[derive(Clone)]
pub struct EndpointSettings {
    pub name: EndpointName,
    /// Where deliveries go. It may hold a secret: show it only through [`redacted`].
    pub url: Url,
    /// Each of them signs, so that a receiver can rotate its secret. What the format requires is in
    /// [`FormatSpec::signing`](super::FormatSpec::signing).
    pub secrets: Vec<SigningSecret>,
    pub route: Route,
    pub format: Format,
    /// How much the endpoint learns about who was present.
    pub names: Names,
    /// The key that replaces names; needed unless `names` is `Full`. Not a configuration key.
    pub pseudonyms: Option<PseudonymKey>,
    /// The proxy, if there is one; none is taken from the environment. Excludes `allow_private = false`, because a proxy
    /// looks the name up itself.
    pub proxy: Option<Url>,
    /// `Authorization` and other headers that the receiver asks for.
    pub headers: ExtraHeaders,
    pub tls: TlsSettings,
    /// Which answers with a 2xx status are a success.
    pub answers: AnswerPatterns,
    /// Whether it may have an address outside the public internet.
    pub allow_private: bool,
    /// The time limit of one attempt, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// How long after its commit a delivery is given up.
    pub window: Duration,
    /// How many conferences are delivered at once.
    pub concurrency: usize,
    /// The most deliveries that are sent in a second; `None` for any number.
    pub rate: Option<f64>,
    /// Whether the events of a conference arrive one after another.
    pub ordered: bool,
    /// How long a leave is held back, to drop it if the participant returns; zero for not at all.
    pub settle: Duration,
    /// Events older than this are not sent.
    pub max_age: Option<Duration>,
    /// How the events of a conference are grouped; `None` for one message each. Needs `ordered` and a format that can.
    pub batching: Option<Batching>,
    /// For how long a failing delivery may hold others of its conference back.
    pub max_hold: Duration,
    /// The rate, in deliveries per second, at which the backlog is sent after the breaker was open.
    pub drain_per_second: f64,
    /// The wait after the first failed attempt, the second, and so on; the last one repeats.
    pub schedule: Vec<Duration>,
}

impl EndpointSettings {
    /// Returns whether the endpoint is reached with https and verified by the machine's CA certificates.
    #[must_use]
    pub fn uses_https(&self) -> bool {
        std::iter::once(&self.url).chain(&self.proxy).any(|url| url.scheme() == "https")
    }

    /// Returns whether it is known to be a chat: by its format, or by the host of its address if it has a template.
    #[must_use]
    pub fn goes_to_a_chat(&self) -> bool {
        let is_at = |host: &str| {
            let of =
                |domain: &&str| host.strip_suffix(*domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            CHAT_DOMAINS.iter().any(of)
        };
        self.format.is_chat() || self.url.host_str().is_some_and(is_at)
    }

    /// Makes an endpoint with default settings: it gets every event, unsigned.
    #[must_use]
    pub fn new(name: EndpointName, url: Url) -> Self {
        Self {
            route: Route {
                endpoint: name.clone(),
                events: Vec::new(),
                kinds: Vec::new(),
                targets: Vec::new(),
                provenance: Vec::new(),
            },
            name,
            url,
            secrets: Vec::new(),
            format: Format::default(),
            names: Names::Full,
            pseudonyms: None,
            proxy: None,
            headers: ExtraHeaders::default(),
            tls: TlsSettings::default(),
            answers: AnswerPatterns::default(),
            allow_private: true,
            timeout: Duration::from_secs(15),
            window: Duration::from_secs(3 * 86_400),
            concurrency: 8,
            rate: None,
            ordered: true,
            settle: Duration::ZERO,
            max_age: None,
            batching: None,
            max_hold: Duration::from_secs(6 * 3600),
            drain_per_second: 50.0,
            schedule: DEFAULT_SCHEDULE.to_vec(),
        }
    }

    /// Returns what the store has to know of the endpoint.
    #[must_use]
    pub fn store_config(&self) -> EndpointConfig {
        EndpointConfig {
            name: self.name.clone(),
            ordered: self.ordered,
            settle: self.settle,
            max_age: self.max_age,
            batching: self.batching,
        }
    }
}

/// Where chats take messages that a template writes.
const CHAT_DOMAINS: [&str; 9] = [
    "discord.com",
    "discordapp.com",
    "webhook.office.com",
    "logic.azure.com",
    "api.powerplatform.com",
    "hooks.slack.com",
    "chat.googleapis.com",
    "api.telegram.org",
    "webexapis.com",
];

/// The retry schedule of the Standard Webhooks specification; the last wait repeats.
pub const DEFAULT_SCHEDULE: [Duration; 8] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(12 * 3600),
];

impl fmt::Debug for EndpointSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointSettings")
            .field("name", &self.name)
            .field("url", &redacted(&self.url))
            .field("secrets", &self.secrets)
            .field("route", &self.route)
            .field("format", &self.format)
            .field("names", &self.names)
            .field("proxy", &self.proxy.as_ref().map(redacted))
            .field("headers", &self.headers)
            .field("tls", &self.tls)
            .field("answers", &self.answers)
            .field("allow_private", &self.allow_private)
            .field("timeout", &self.timeout)
            .field("window", &self.window)
            .field("concurrency", &self.concurrency)
            .field("rate", &self.rate)
            .field("ordered", &self.ordered)
            .field("settle", &self.settle)
            .field("max_age", &self.max_age)
            .field("batching", &self.batching)
            .field("max_hold", &self.max_hold)
            .field("drain_per_second", &self.drain_per_second)
            .field("schedule", &self.schedule)
            .finish()
    }
}

/// Returns an address as it may be shown: scheme, host and port. Path and query may hold a secret.
#[must_use]
pub fn redacted(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}/…", url.scheme())
}
