//! Why a read failed: a reason that is the same in the log, in metric labels and in the status.

use std::fmt;
use std::time::Duration;

use super::quota_scope::QuotaScope;

crate::string_enum! {
    /// Why a read failed. The values of the metric label `reason`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Reason {
        /// The API is not enabled in the project.
        ApiDisabled = "api_disabled",
        /// The token lacks a scope.
        ScopeMissing = "scope_missing",
        /// Domain-wide delegation is not set up for this client and scope.
        Delegation = "delegation",
        /// The credentials cannot be read, or are revoked or refused.
        Credentials = "credentials",
        /// Google refused the access token, and a new one too.
        Unauthenticated = "unauthenticated",
        /// The identity may not see the resource.
        NoAccess = "no_access",
        /// The resource does not exist, or not for this identity.
        NotFound = "not_found",
        /// The quota is used up: Google's, or the configured share of it.
        Throttled = "throttled",
        /// Google refused the request as invalid: a bug in this program, or a change of the API.
        BadRequest = "bad_request",
        /// Google had an internal error.
        Server = "server",
        /// The connection could not be made, or it broke.
        Network = "network",
        /// No response within the timeout.
        Timeout = "timeout",
        /// The response is not what the API documents: HTML, cut off, over the cap, or a page token that repeats.
        Malformed = "malformed",
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
    /// Whose quota is used up, if Google says so.
    pub used_up: Option<QuotaScope>,
    /// How many requests were sent, retries included. Zero if the read never left.
    pub requests: u32,
}
