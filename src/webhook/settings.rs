//! What an operator can set about an endpoint, validated: `config` makes these, nothing else needs to check them.

use std::fmt;
use std::time::Duration;

use reqwest::Url;

use super::sign::SigningSecret;
use crate::model::{EndpointName, Route};

/// One `[[webhook]]`. Its `Debug` form shows neither the secrets nor the address.
#[derive(Clone)]
pub struct EndpointSettings {
    pub name: EndpointName,
    /// Where deliveries go. May itself be a secret: show it only through [`redacted`].
    pub url: Url,
    /// The first signs, and so do all others, so that a receiver can change over. Never empty for `standard`.
    pub secrets: Vec<SigningSecret>,
    pub route: Route,
    pub format: Format,
    /// For one attempt, from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// How long after its commit a delivery is given up.
    pub window: Duration,
    /// How many conferences are delivered at once.
    pub concurrency: usize,
}

impl fmt::Debug for EndpointSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointSettings")
            .field("name", &self.name)
            .field("url", &redacted(&self.url))
            .field("secrets", &self.secrets)
            .field("route", &self.route)
            .field("format", &self.format)
            .field("timeout", &self.timeout)
            .field("window", &self.window)
            .field("concurrency", &self.concurrency)
            .finish()
    }
}

/// How the body of a delivery is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// `{"type", "timestamp", "data"}`, signed.
    #[default]
    Standard,
}

/// An address as it may be shown: scheme, host and port. Path and query may hold a secret.
#[must_use]
pub fn redacted(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}/…", url.scheme())
}
