//! What an operator can set about an endpoint, validated: `config` makes these, nothing else needs to check them.

use std::fmt;
use std::time::Duration;

use reqwest::Url;

use super::sign::SigningSecret;
use crate::model::{EndpointName, Route};
use crate::store::EndpointConfig;

pub use super::format::{BadTemplate, Chat, MAX_TEMPLATE_BYTES, Sentence, Template};
pub use super::guard::{is_public, refuses_literal};
pub use super::headers::{BadHeader, ExtraHeaders};
pub use super::tls::{BadTls, TlsSettings};
pub use crate::pseudonym::PseudonymKey;
pub use crate::store::Batching;

/// One `[[webhook]]`. Its `Debug` form shows neither the secrets nor the address.
#[derive(Clone)]
pub struct EndpointSettings {
    pub name: EndpointName,
    /// Where deliveries go. May itself be a secret: show it only through [`redacted`].
    pub url: Url,
    /// The first signs, and so do all others, so that a receiver can change over. Never empty for `standard` and
    /// `cloudevents`, always for the chats.
    pub secrets: Vec<SigningSecret>,
    pub route: Route,
    pub format: Format,
    /// How much it learns of who was there.
    pub names: Names,
    /// What names are replaced with; needed where `names` hides them. Not the operator's to set.
    pub pseudonyms: Option<PseudonymKey>,
    /// The way out, where there is no direct one. None is taken from the environment. Not beside `allow_private = false`: it
    /// is the proxy that looks the name up then.
    pub proxy: Option<Url>,
    /// Authorization and whatever else the receiver asks for.
    pub headers: ExtraHeaders,
    pub tls: TlsSettings,
    /// Whether it may be at an address that is not one of the public internet.
    pub allow_private: bool,
    /// For one attempt, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// How long after its commit a delivery is given up.
    pub window: Duration,
    /// How many conferences are delivered at once.
    pub concurrency: usize,
    /// Whether the events of a conference arrive one after another.
    pub ordered: bool,
    /// How long a leave is held back to see whether it undoes itself; zero for not at all.
    pub settle: Duration,
    /// What happened longer ago is not sent.
    pub max_age: Option<Duration>,
    /// What of a conference is sent together; `None`: each event alone. Only where `ordered`, and not for templates.
    pub batching: Option<Batching>,
    /// For how long a failing delivery may hold others of its conference back.
    pub max_hold: Duration,
    /// After trouble, so many deliveries are sent in a second until nothing is due any more.
    pub drain_per_second: f64,
    /// How long to wait after the first failed attempt, the second, and so on; the last is for all that follow.
    pub schedule: Vec<Duration>,
}

impl EndpointSettings {
    /// An endpoint with nothing but defaults: it wants every event, and signs with nothing.
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
            format: Format::Standard,
            names: Names::Full,
            pseudonyms: None,
            proxy: None,
            headers: ExtraHeaders::default(),
            tls: TlsSettings::default(),
            allow_private: true,
            timeout: Duration::from_secs(15),
            window: Duration::from_secs(3 * 86_400),
            concurrency: 8,
            ordered: true,
            settle: Duration::ZERO,
            max_age: None,
            batching: None,
            max_hold: Duration::from_secs(6 * 3600),
            drain_per_second: 50.0,
            schedule: DEFAULT_SCHEDULE.to_vec(),
        }
    }

    /// What the store has to know of it.
    #[must_use]
    pub fn outbox(&self) -> EndpointConfig {
        EndpointConfig {
            name: self.name.clone(),
            ordered: self.ordered,
            settle: self.settle,
            max_age: self.max_age,
            batching: self.batching,
        }
    }
}

/// The schedule of the Standard Webhooks specification, and then every twelve hours.
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
            .field("allow_private", &self.allow_private)
            .field("timeout", &self.timeout)
            .field("window", &self.window)
            .field("concurrency", &self.concurrency)
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

/// How the body of a delivery is written.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Format {
    /// `{"type", "timestamp", "data"}`.
    #[default]
    Standard,
    /// CloudEvents 1.0, structured.
    CloudEvents,
    /// A message of Slack's incoming webhooks.
    Slack(Chat),
    /// A message of Google Chat's incoming webhooks.
    GoogleChat(Chat),
    /// Whatever JSON the operator's template makes.
    Template(Template),
}

impl Format {
    /// The names of all formats, in the order of the variants.
    pub const NAMES: [&'static str; 5] = ["standard", "cloudevents", "slack", "google-chat", "template"];

    /// The name in the configuration.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::CloudEvents => "cloudevents",
            Self::Slack(_) => "slack",
            Self::GoogleChat(_) => "google-chat",
            Self::Template(_) => "template",
        }
    }
}

/// How much an endpoint learns of who was there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Names {
    /// Everything.
    #[default]
    Full,
    /// The initials of the name, and ids that mean nothing elsewhere.
    Initials,
    /// A name, a user and an address that stand for the person and mean nothing elsewhere.
    Pseudonym,
    /// Ids that mean nothing elsewhere.
    None,
}

impl Names {
    /// Every choice.
    pub const ALL: [Self; 4] = [Self::Full, Self::Initials, Self::Pseudonym, Self::None];

    /// The name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Initials => "initials",
            Self::Pseudonym => "pseudonym",
            Self::None => "none",
        }
    }

    /// The choice of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|names| names.as_str() == text)
    }
}

/// An address as it may be shown: scheme, host and port. Path and query may hold a secret.
#[must_use]
pub fn redacted(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}/…", url.scheme())
}
