//! What an operator can set about reading Google, validated: `config` makes these, nothing else needs to check them.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use crate::model::IdentityName;

/// `[google]`.
#[derive(Debug, Clone)]
pub struct GoogleSettings {
    /// Where the Meet API is.
    pub endpoint: Url,
    /// Where the People API is.
    pub people_endpoint: Url,
    /// An HTTP proxy for everything that goes to Google. None is taken from the environment.
    pub proxy: Option<Url>,
    /// Lower-case domains whose addresses are `internal`.
    pub internal_domains: Vec<String>,
    pub quota: QuotaSettings,
    /// For one request, from connecting to the last byte.
    pub timeout: Duration,
    /// For one token.
    pub token_timeout: Duration,
    /// A larger body is `malformed`.
    pub max_body_bytes: usize,
    /// A list with more pages is `malformed`.
    pub max_pages: u32,
}

/// `[google.quota]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuotaSettings {
    pub reads_per_minute_project: u32,
    pub reads_per_minute_user: u32,
    /// Of the People API, for each user.
    pub people_reads_per_minute_user: u32,
    /// The share of all of them that is spent, above 0 and at most 1.
    pub spend: f64,
}

/// One `[[identity]]`, or one line of its `subjects`.
#[derive(Debug, Clone)]
pub struct IdentitySettings {
    pub name: IdentityName,
    pub credentials: Credentials,
    /// `lookup = "people"`: look up who signed-in participants are.
    pub lookup_people: bool,
}

/// How an identity proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A service account's key; with a subject, domain-wide delegation.
    ServiceAccount { key: PathBuf, subject: Option<String> },
    /// What `meetwatch login` left behind.
    UserConsent { client_secret: PathBuf, token_store: PathBuf },
    /// Application default credentials: the file that the environment names, or the machine's metadata server.
    ApplicationDefault { file: Option<PathBuf> },
    /// A file that somebody else keeps filled with a valid access token. Read at each use.
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
