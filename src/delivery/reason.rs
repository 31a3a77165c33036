//! The reasons for which attempts fail and deliveries are given up. Each has one name, in logs, metrics and rows.

/// Why an attempt failed, or why a delivery was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureReason {
    /// The receiver is busy.
    Throttled,
    /// The receiver is down for now.
    Unavailable,
    /// The receiver failed.
    ServerError,
    /// The status was one of success, and the body was that of a failure.
    BodyFailure,
    /// The receiver does not take this delivery as it is.
    Rejected,
    /// The receiver does not accept the credentials or the signature.
    Unauthorized,
    /// The receiver named another address. Redirects are not followed.
    Redirect,
    /// The endpoint no longer exists.
    Gone,
    /// An answer that no other reason covers.
    UnexpectedStatus,
    /// No complete answer within the endpoint's timeout.
    Timeout,
    /// No connection.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The host name could not be resolved.
    Dns,
    /// The host resolves to an address that the endpoint may not have.
    RefusedAddress,
    /// The answer exceeds the size limit.
    BodyTooLarge,
    /// The connection broke, or the answer was not HTTP.
    Interrupted,
    /// The event cannot be written in the endpoint's format.
    Unsendable,
    /// Given up: the delivery window is over.
    Window,
    /// Given up: it held back the deliveries behind it for the maximum time.
    MaxHold,
}

impl FailureReason {
    /// Every reason.
    pub const ALL: [Self; 19] = [
        Self::Throttled,
        Self::Unavailable,
        Self::ServerError,
        Self::BodyFailure,
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
            Self::BodyFailure => "body_failure",
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

    /// Returns whether an attempt can fail for this reason. The others only explain why a delivery was given up.
    pub(super) const fn is_of_an_attempt(self) -> bool {
        !matches!(self, Self::Window | Self::MaxHold)
    }

    /// Returns whether a delivery can be given up for this reason.
    pub(super) const fn gives_up(self) -> bool {
        matches!(self, Self::Rejected | Self::Unsendable | Self::Window | Self::MaxHold)
    }
}
