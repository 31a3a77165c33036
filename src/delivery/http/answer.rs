//! Translates an HTTP status into an [`Outcome`]. The only place that knows what a status means to a delivery.

use std::time::Duration;

use crate::delivery::outcome::{Outcome, Reply};

/// Returns the outcome of a complete answer. `retry_after` is how long the answer asks to wait; it counts only for the
/// statuses that RFC 9110 and RFC 6585 define it for, 503 and 429.
#[must_use]
pub const fn outcome(status: u16, retry_after: Option<Duration>) -> Outcome {
    match status {
        200..=299 => Outcome::Accepted,
        300..=399 => Outcome::Redirected,
        400 | 413 | 415 | 422 => Outcome::Refused,
        404 | 405 => Outcome::NotFound,
        401 | 403 => Outcome::Unauthorized,
        410 => Outcome::Gone,
        429 => Outcome::Busy { wait: retry_after },
        503 => Outcome::Unavailable { wait: retry_after },
        500..=599 => Outcome::ServerError,
        _ => Outcome::Unexpected,
    }
}

/// Returns a complete answer of this status, without an excerpt of its body.
#[must_use]
pub const fn reply(status: u16, retry_after: Option<Duration>) -> Reply {
    Reply { outcome: outcome(status, retry_after), status: Some(status), answer: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_one_outcome() {
        let wait = Some(Duration::from_secs(7));
        for status in 0..=u16::MAX {
            let expected = match status {
                200..=299 => Outcome::Accepted,
                300..=399 => Outcome::Redirected,
                400 | 413 | 415 | 422 => Outcome::Refused,
                404 | 405 => Outcome::NotFound,
                401 | 403 => Outcome::Unauthorized,
                410 => Outcome::Gone,
                429 => Outcome::Busy { wait },
                503 => Outcome::Unavailable { wait },
                500..=502 | 504..=599 => Outcome::ServerError,
                _ => Outcome::Unexpected,
            };
            assert_eq!(outcome(status, wait), expected, "{status}");
        }
    }

    #[test]
    fn an_asked_wait_counts_for_busy_and_unavailable_only() {
        let wait = Some(Duration::from_secs(7));
        for status in 100..600 {
            let expected = wait.filter(|_| [429, 503].contains(&status));
            assert_eq!(outcome(status, wait).asked_wait(), expected, "{status}");
        }
    }
}
