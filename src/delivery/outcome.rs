//! What one attempt brought, in terms that hold for any transport. Policy decides on these; [`super::http::answer`] makes
//! them from HTTP statuses.

use std::time::Duration;

use super::reason::FailureReason;

/// What an attempt brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver took the delivery.
    Accepted,
    /// The receiver does not take this delivery as it is. Another one may be accepted.
    Refused,
    /// The receiver knows no such address (404, 405). Several conferences in a row show that it is not the delivery.
    NotFound,
    /// The receiver does not accept the credentials or the signature.
    Unauthorized,
    /// The receiver is busy, and may have asked to wait.
    Busy { wait: Option<Duration> },
    /// The receiver is down for now, and may have asked to wait.
    Unavailable { wait: Option<Duration> },
    /// The receiver failed.
    ServerError,
    /// The status is one of success, and the body says that it is none.
    BodyFailed,
    /// The endpoint no longer exists and wants no more deliveries.
    Gone,
    /// The receiver named another address.
    Redirected,
    /// An answer that no other variant covers.
    Unexpected,
    /// No complete answer came.
    TransportFailed(TransportFailure),
    /// The event cannot be written in the endpoint's format; nothing was sent.
    Unsendable,
}

/// Why no complete answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportFailure {
    /// Not within the endpoint's timeout.
    Timeout,
    /// No connection.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The host name could not be resolved.
    Dns,
    /// The host resolves to an address that the endpoint may not have.
    RefusedAddress,
    /// This process has as many open files as it may, and a connection is one.
    OpenFiles,
    /// The answer exceeds the size limit.
    AnswerTooLarge,
    /// The connection broke, or what came is not the transport's protocol.
    Interrupted,
}

/// Who is at fault for a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtFault {
    /// This delivery: another one may be accepted.
    Delivery,
    /// The endpoint: every other delivery would have failed too.
    Endpoint,
    /// Either of them: the endpoint fails, but this event may be the cause.
    Unclear,
}

impl Outcome {
    /// Returns the reason of the failure; `None` for success.
    #[must_use]
    pub const fn reason(&self) -> Option<FailureReason> {
        Some(match self {
            Self::Accepted => return None,
            Self::Refused | Self::NotFound => FailureReason::Rejected,
            Self::Unauthorized => FailureReason::Unauthorized,
            Self::Busy { .. } => FailureReason::Throttled,
            Self::Unavailable { .. } => FailureReason::Unavailable,
            Self::ServerError => FailureReason::ServerError,
            Self::BodyFailed => FailureReason::BodyFailure,
            Self::Gone => FailureReason::Gone,
            Self::Redirected => FailureReason::Redirect,
            Self::Unexpected => FailureReason::UnexpectedStatus,
            Self::TransportFailed(failure) => failure.reason(),
            Self::Unsendable => FailureReason::Unsendable,
        })
    }

    /// Returns who is at fault; `None` for success.
    #[must_use]
    pub const fn at_fault(&self) -> Option<AtFault> {
        use TransportFailure::{AnswerTooLarge, Connect, Dns, Interrupted, OpenFiles, RefusedAddress, Timeout, Tls};
        Some(match self {
            Self::Accepted => return None,
            Self::Refused | Self::Gone | Self::Unsendable => AtFault::Delivery,
            Self::Unauthorized | Self::TransportFailed(Timeout | Connect | Tls | Dns | RefusedAddress | OpenFiles) => {
                AtFault::Endpoint
            }
            Self::Busy { .. }
            | Self::Unavailable { .. }
            | Self::NotFound
            | Self::ServerError
            | Self::BodyFailed
            | Self::Redirected
            | Self::Unexpected
            | Self::TransportFailed(AnswerTooLarge | Interrupted) => AtFault::Unclear,
        })
    }

    /// Returns whether the failure says nothing about the delivery: any other would have failed too.
    #[must_use]
    pub const fn is_of_the_endpoint(&self) -> bool {
        use TransportFailure::{Connect, Dns, OpenFiles, RefusedAddress, Tls};
        matches!(
            self,
            Self::Busy { .. }
                | Self::Unavailable { .. }
                | Self::TransportFailed(Connect | Tls | Dns | RefusedAddress | OpenFiles)
        )
    }

    /// Returns how long the receiver asked to wait before the next attempt.
    #[must_use]
    pub const fn asked_wait(&self) -> Option<Duration> {
        match self {
            Self::Busy { wait } | Self::Unavailable { wait } => *wait,
            _ => None,
        }
    }
}

impl TransportFailure {
    const fn reason(self) -> FailureReason {
        match self {
            Self::Timeout => FailureReason::Timeout,
            Self::Connect => FailureReason::Connect,
            Self::Tls => FailureReason::Tls,
            Self::Dns => FailureReason::Dns,
            Self::RefusedAddress => FailureReason::RefusedAddress,
            Self::OpenFiles => FailureReason::OpenFiles,
            Self::AnswerTooLarge => FailureReason::BodyTooLarge,
            Self::Interrupted => FailureReason::Interrupted,
        }
    }
}

/// An outcome with what is recorded beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub outcome: Outcome,
    /// The HTTP status, if the answer got that far. Kept for the record; nothing is decided on it.
    pub status: Option<u16>,
    /// The start of the receiver's answer, see [`super::http::excerpt`]. It is untrusted text: escape it where it is shown,
    /// and never log it.
    pub answer: Option<Box<str>>,
}

impl From<Outcome> for Reply {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, status: None, answer: None }
    }
}
