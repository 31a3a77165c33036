//! Why a read failed, in one word that reaches the log, the metric label and the status alike.

use std::fmt;
use std::time::Duration;

/// What a failed read comes down to. The label values of `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The API is not enabled in the project.
    ApiDisabled,
    /// The token lacks a scope.
    ScopeMissing,
    /// Domain-wide delegation is not set up for this client and scope.
    Delegation,
    /// The credentials themselves are unreadable, revoked or refused.
    Credentials,
    /// Google did not accept the token, a fresh one included.
    Unauthenticated,
    /// The user may not see this.
    NoAccess,
    /// There is no such thing, or not for this user.
    NotFound,
    /// The quota is used up, Google's or our own share of it.
    Throttled,
    /// Google did not understand the request: a defect of this program or a change of the API.
    BadRequest,
    /// Google failed.
    Server,
    /// No connection, or it broke.
    Network,
    /// No answer within the time allowed.
    Timeout,
    /// An answer that is not what the API promises: HTML, cut off, over the cap, a page token that repeats.
    Malformed,
}

impl Reason {
    /// Every reason, so that each has a series from the start.
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

/// A read that brought nothing. Its text never holds a token, an address or a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{attempted}: {detail} ({reason})")]
pub struct ReadError {
    pub reason: Reason,
    /// What was attempted, such as `list participants`.
    pub attempted: &'static str,
    /// What came back, in words of ours: a status, a kind of failure. Not Google's message, which may quote a person.
    pub detail: String,
    /// What the operator has to do. Empty where waiting is the remedy.
    pub remedy: &'static str,
    /// How long Google asked to be left alone, clamped.
    pub retry_after: Option<Duration>,
}
