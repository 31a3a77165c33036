//! What an attempt brought, and the names of all that can go wrong.

use std::time::Duration;

/// Why an attempt failed, or why a delivery was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// 429.
    Throttled,
    /// 503.
    Unavailable,
    /// Any other 5xx.
    ServerError,
    /// 400, 404, 405, 413, 415, 422: this delivery is not wanted as it is.
    Rejected,
    /// 401, 403.
    Unauthorized,
    /// 3xx: redirects are not followed.
    Redirect,
    /// 410: the endpoint wants nothing any more.
    Gone,
    /// Any status that has no reason of its own.
    UnexpectedStatus,
    /// No whole answer in time.
    Timeout,
    /// No connection.
    Connect,
    /// No trust, or no common language.
    Tls,
    /// The host's name leads nowhere.
    Dns,
    /// The host's name leads to an address that the endpoint may not be at.
    RefusedAddress,
    /// The answer is larger than any receiver's has to be.
    BodyTooLarge,
    /// The connection broke off, or what came was no HTTP.
    Interrupted,
    /// The event cannot be written in the endpoint's format.
    Unsendable,
    /// Given up: its window is over.
    Window,
    /// Given up: others of its conference have waited behind it for too long.
    MaxHold,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 18] = [
        Self::Throttled,
        Self::Unavailable,
        Self::ServerError,
        Self::Rejected,
        Self::Unauthorized,
        Self::Redirect,
        Self::Gone,
        Self::UnexpectedStatus,
        Self::Timeout,
        Self::Connect,
        Self::Tls,
        Self::Dns,
        Self::RefusedAddress,
        Self::BodyTooLarge,
        Self::Interrupted,
        Self::Unsendable,
        Self::Window,
        Self::MaxHold,
    ];

    /// The name in logs, labels and rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::ServerError => "server_error",
            Self::Rejected => "rejected",
            Self::Unauthorized => "unauthorized",
            Self::Redirect => "redirect",
            Self::Gone => "gone",
            Self::UnexpectedStatus => "unexpected_status",
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Dns => "dns",
            Self::RefusedAddress => "refused_address",
            Self::BodyTooLarge => "body_too_large",
            Self::Interrupted => "interrupted",
            Self::Unsendable => "unsendable",
            Self::Window => "window",
            Self::MaxHold => "max_hold",
        }
    }

    /// Whether an attempt can fail for it; the others only say why a delivery is given up.
    #[must_use]
    pub const fn is_of_an_attempt(self) -> bool {
        !matches!(self, Self::Window | Self::MaxHold)
    }

    /// Whom an attempt that failed so speaks against.
    #[must_use]
    pub const fn blame(self) -> Blame {
        match self {
            Self::Unauthorized | Self::Timeout | Self::Connect | Self::Tls | Self::Dns | Self::RefusedAddress => {
                Blame::Endpoint
            }
            Self::Rejected | Self::Gone | Self::Unsendable | Self::Window | Self::MaxHold => Blame::Delivery,
            Self::Throttled
            | Self::Unavailable
            | Self::ServerError
            | Self::Redirect
            | Self::UnexpectedStatus
            | Self::BodyTooLarge
            | Self::Interrupted => Blame::Either,
        }
    }

    /// Whether a delivery can be given up for it.
    #[must_use]
    pub const fn gives_up(self) -> bool {
        matches!(self, Self::Rejected | Self::Unsendable | Self::Window | Self::MaxHold)
    }

    /// What a status says of an attempt; `None` for success.
    #[must_use]
    pub const fn of_status(status: u16) -> Option<Self> {
        match status {
            200..=299 => None,
            300..=399 => Some(Self::Redirect),
            400 | 404 | 405 | 413 | 415 | 422 => Some(Self::Rejected),
            401 | 403 => Some(Self::Unauthorized),
            410 => Some(Self::Gone),
            429 => Some(Self::Throttled),
            503 => Some(Self::Unavailable),
            500..=599 => Some(Self::ServerError),
            _ => Some(Self::UnexpectedStatus),
        }
    }
}

/// Whom a failed attempt speaks against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// This delivery: another may well arrive.
    Delivery,
    /// The endpoint: no other would have fared better.
    Endpoint,
    /// It cannot be told.
    Either,
}

/// What an attempt brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A whole answer.
    Answered {
        status: u16,
        /// How long the answer asks to wait.
        retry_after: Option<Duration>,
    },
    /// No answer, or not a whole one. `status` is there where it got so far.
    Failed { reason: Reason, status: Option<u16> },
}

impl Outcome {
    /// Why the attempt failed; `None` for success.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Answered { status, .. } => Reason::of_status(*status),
            Self::Failed { reason, .. } => Some(*reason),
        }
    }

    /// The status, where there was one.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            Self::Failed { status, .. } => *status,
        }
    }
}

/// What an attempt brought, with the start of what the receiver said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub outcome: Outcome,
    /// See [`super::answer::Redaction::keep`]. A stranger wrote it: show it escaped, and never in a log.
    pub answer: Option<Box<str>>,
}

impl From<Outcome> for Reply {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, answer: None }
    }
}
