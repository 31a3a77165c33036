//! Reads response bodies, and classifies what went wrong between this machine and Google: a timeout, a connection that
//! failed, a body that was cut off.

use std::error::Error;
use std::io;

use reqwest::Response;

use super::error::Reason;
use super::failure::Failure;
use super::remedy;
use crate::capped_body::{self, BodyError};
use crate::open_files;

/// The detail of a failure because of a body over its cap; see [`is_over_cap`].
const OVER_CAP: &str = "the response body is larger than the limit";

/// Reads a body of at most `cap` bytes.
///
/// # Errors
/// `malformed` for a larger body and for one that was cut off, `timeout` or `network` for the rest.
pub(super) async fn read_body(response: Response, cap: usize) -> Result<Vec<u8>, Failure> {
    capped_body::read(response, cap).await.map_err(|error| match error {
        BodyError::TooLarge => Failure::malformed(OVER_CAP),
        BodyError::Broken(error) => failure_of(&error),
    })
}

/// Whether a failure is because of a body over its cap.
pub(super) fn is_over_cap(failure: &Failure) -> bool {
    failure.detail == OVER_CAP
}

/// Returns what an error of the HTTP client means. The address is not repeated.
pub(super) fn failure_of(error: &reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::new(Reason::Timeout, "no response within the timeout", "");
    }
    let causes = || causes(error);
    if (error.is_body() || error.is_decode()) && causes().any(is_cut_off) {
        return Failure::malformed("the response body was cut off");
    }
    if open_files::are_exhausted(error) {
        let detail = format!("cannot connect: {}", open_files::EXHAUSTED);
        return Failure::new(Reason::Network, detail, open_files::REMEDY);
    }
    let innermost = causes().last().map(ToString::to_string).unwrap_or_default();
    if error.is_connect() {
        let is_tls = causes().any(|cause| cause.to_string().contains("certificate"));
        let remedy = if is_tls { remedy::CERTIFICATE } else { remedy::NETWORK };
        return Failure::new(Reason::Network, format!("cannot connect: {}", brief(&innermost)), remedy);
    }
    Failure::new(Reason::Network, format!("the connection broke: {}", brief(&innermost)), remedy::NETWORK)
}

/// The causes of an error, the innermost last.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause| {
        let cause: &(dyn Error + 'static) = *cause;
        cause.source()
    })
}

/// Whether the server closed the connection before it had sent the announced length.
fn is_cut_off(cause: &(dyn Error + 'static)) -> bool {
    let by_hyper = cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message);
    let by_io = cause.downcast_ref::<io::Error>().is_some_and(|cause| cause.kind() == io::ErrorKind::UnexpectedEof);
    by_hyper || by_io
}

/// The first 120 characters. The innermost cause names a kind of error and at most a host, never a path or a person.
fn brief(cause: &str) -> &str {
    let end = cause.char_indices().nth(120).map_or(cause.len(), |(at, _)| at);
    &cause[..end]
}
