//! Why a read failed: a reason that is the same in the log, in metric labels and in the status.

use std::fmt;
use std::time::Duration;

/// Why a read failed. The values of the metric label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The API is not enabled in the project.
    ApiDisabled,
    /// The token lacks a scope.
    ScopeMissing,
    /// Domain-wide delegation is not set up for this client and scope.
    Delegation,
    /// The credentials cannot be read, or are revoked or refused.
    Credentials,
    /// Google refused the access token, and a new one too.
    Unauthenticated,
    /// The identity may not see the resource.
    NoAccess,
    /// The resource does not exist, or not for this identity.
    NotFound,
    /// The quota is used up: Google's, or the configured share of it.
    Throttled,
    /// Google refused the request as invalid: a bug in this program, or a change of the API.
    BadRequest,
    /// Google had an internal error.
    Server,
    /// The connection could not be made, or it broke.
    Network,
    /// No response within the timeout.
    Timeout,
    /// The response is not what the API documents: HTML, cut off, over the cap, or a page token that repeats.
    Malformed,
}

impl Reason {
    /// Every reason, so that each has a metric series from the start.
    pub const ALL: [Self; 13] = [
        Self::ApiDisabled,
        Self::ScopeMissing,
        Self::Delegation,
        Self::Credentials,
        Self::Unauthenticated,
        Self::NoAccess,
        Self::NotFound,
        Self::Throttled,
        Self::BadRequest,
        Self::Server,
        Self::Network,
        Self::Timeout,
        Self::Malformed,
    ];

    /// The name in logs, labels and the status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiDisabled => "api_disabled",
            Self::ScopeMissing => "scope_missing",
            Self::Delegation => "delegation",
            Self::Credentials => "credentials",
            Self::Unauthenticated => "unauthenticated",
            Self::NoAccess => "no_access",
            Self::NotFound => "not_found",
            Self::Throttled => "throttled",
            Self::BadRequest => "bad_request",
            Self::Server => "server",
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A read that failed. Its text never contains a token, an address or a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{attempted}: {detail} ({reason})")]
pub struct ReadError {
    pub reason: Reason,
    /// What was attempted, such as `list participants`.
    pub attempted: &'static str,
    /// What happened, in this program's words: a status or a kind of failure. Not Google's message, which may quote a person.
    pub detail: String,
    /// What the operator has to do. Empty if waiting is enough.
    pub remedy: &'static str,
    /// How long Google asks to wait, clamped.
    pub retry_after: Option<Duration>,
}
