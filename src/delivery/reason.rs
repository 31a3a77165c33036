//! The reasons for which attempts fail and deliveries are given up. Each has one name, in logs, metrics and rows.

crate::string_enum! {
    /// Why an attempt failed, or why a delivery was given up.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum FailureReason {
        /// The receiver is busy.
        Throttled = "throttled",
        /// The receiver is down for now.
        Unavailable = "unavailable",
        /// The receiver failed.
        ServerError = "server_error",
        /// The status was one of success, and the body was that of a failure.
        BodyFailure = "body_failure",
        /// The receiver does not take this delivery as it is.
        Rejected = "rejected",
        /// The receiver does not accept the credentials or the signature.
        Unauthorized = "unauthorized",
        /// The receiver named another address. Redirects are not followed.
        Redirect = "redirect",
        /// The endpoint no longer exists.
        Gone = "gone",
        /// An answer that no other reason covers.
        UnexpectedStatus = "unexpected_status",
        /// No complete answer within the endpoint's timeout.
        Timeout = "timeout",
        /// No connection.
        Connect = "connect",
        /// The TLS handshake failed.
        Tls = "tls",
        /// The host name could not be resolved.
        Dns = "dns",
        /// The host resolves to an address that the endpoint may not have.
        RefusedAddress = "refused_address",
        /// This process may open no more files, and a connection is one. Not the receiver's doing.
        OpenFiles = "open_files",
        /// The answer exceeds the size limit.
        BodyTooLarge = "body_too_large",
        /// The connection broke, or the answer was not HTTP.
        Interrupted = "interrupted",
        /// The event cannot be written in the endpoint's format.
        Unsendable = "unsendable",
        /// Given up: the delivery window is over.
        Window = "window",
        /// Given up: it held back the deliveries behind it for the maximum time.
        MaxHold = "max_hold",
    }
}

impl FailureReason {
    /// Returns whether an attempt can fail for this reason. The others only explain why a delivery was given up.
    pub(super) const fn is_of_an_attempt(self) -> bool {
        !matches!(self, Self::Window | Self::MaxHold)
    }

    /// Returns whether a delivery can be given up for this reason.
    pub(super) const fn gives_up(self) -> bool {
        matches!(self, Self::Rejected | Self::Unsendable | Self::Window | Self::MaxHold)
    }
}
