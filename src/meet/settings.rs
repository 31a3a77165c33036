//! The validated settings for reading Google. `config` builds them, so nothing else has to check them.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use crate::model::IdentityName;

/// `[google]`.
#[derive(Debug, Clone)]
pub struct GoogleSettings {
    /// The base address of the Meet API.
    pub endpoint: Url,
    /// The base address of the People API.
    pub people_endpoint: Url,
    /// An HTTP proxy for all requests to Google. Never taken from the environment.
    pub proxy: Option<Url>,
    /// E-mail domains, in lower case, whose users count as `internal`.
    pub internal_domains: Vec<String>,
    pub quota: QuotaSettings,
    /// The limit for one request, from connecting to the last byte.
    pub timeout: Duration,
    /// The limit for obtaining one token.
    pub token_timeout: Duration,
    /// The cap on a response body; a larger one is `malformed`.
    pub max_body_bytes: usize,
    /// The cap on the pages of a list; a longer one is `malformed`.
    pub max_pages: u32,
}

/// `[google.quota]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuotaSettings {
    pub reads_per_minute_project: u32,
    pub reads_per_minute_user: u32,
    /// The reads a minute of the People API, for each user.
    pub people_reads_per_minute_user: u32,
    /// The share of these limits that is used, above 0 and at most 1.
    pub spend: f64,
}

impl GoogleSettings {
    /// Returns whether Google's APIs, as far as these identities read them, or the proxy are reached with https.
    #[must_use]
    pub fn uses_https(&self, identities: &[IdentitySettings]) -> bool {
        let people = identities.iter().any(|identity| identity.lookup_people).then_some(&self.people_endpoint);
        let mut used = std::iter::once(&self.endpoint).chain(people).chain(&self.proxy);
        used.any(|url| url.scheme() == "https")
    }
}

/// One `[[identity]]`, or one line of its `subjects`.
#[derive(Debug, Clone)]
pub struct IdentitySettings {
    pub name: IdentityName,
    pub credentials: Credentials,
    /// `lookup = "people"`: look up who signed-in participants are.
    pub lookup_people: bool,
}

/// The credentials of an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A service account's key. With a subject: domain-wide delegation to that user.
    ServiceAccount { key: PathBuf, subject: Option<String> },
    /// The consent of a user, as `meetwatch login` stored it.
    UserConsent { client_secret: PathBuf, token_store: PathBuf },
    /// Application default credentials: the file that the environment names, or else the machine's metadata server.
    ApplicationDefault { file: Option<PathBuf> },
    /// A file in which another program keeps a valid access token. Read at each use.
    AccessTokenFile(PathBuf),
}

impl Default for GoogleSettings {
    fn default() -> Self {
        Self {
            endpoint: known_url("https://meet.googleapis.com"),
            people_endpoint: known_url("https://people.googleapis.com"),
            proxy: None,
            internal_domains: Vec::new(),
            quota: QuotaSettings::default(),
            timeout: Duration::from_secs(20),
            token_timeout: Duration::from_secs(10),
            max_body_bytes: 8 << 20,
            max_pages: 100,
        }
    }
}

impl Default for QuotaSettings {
    fn default() -> Self {
        Self {
            reads_per_minute_project: 6000,
            reads_per_minute_user: 600,
            people_reads_per_minute_user: 90,
            spend: 0.8,
        }
    }
}

#[expect(clippy::expect_used, reason = "only called with the two literals above, which are valid URLs")]
fn known_url(literal: &'static str) -> Url {
    Url::parse(literal).expect("a literal URL")
}
