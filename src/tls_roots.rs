//! HTTP clients on machines with and without CA certificates. Only https needs them: on a machine without any, such as a
//! minimal container, a client that is for plain http works all the same.

use reqwest::{Client, ClientBuilder};

/// What to do on a machine without CA certificates.
pub const REMEDY: &str = "install the package `ca-certificates`, or set SSL_CERT_FILE to a file of CA certificates";

/// Why an HTTP client cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The client is for https, and no server's certificate could be verified.
    #[error("this machine has no CA certificates, so no https server can be verified; {REMEDY}")]
    NoRoots,
    #[error("the HTTP client cannot be set up: {0}")]
    Setup(reqwest::Error),
}

/// Builds a client. `is_https` says whether it is for addresses with https. A client that is not, on a machine without CA
/// certificates, trusts no server.
///
/// # Errors
/// [`ClientError`]
pub fn build(builder: impl Fn() -> ClientBuilder, is_https: bool) -> Result<Client, ClientError> {
    let setup = |error: reqwest::Error| ClientError::Setup(error.without_url());
    match builder().build() {
        Ok(client) => Ok(client),
        Err(error) if are_there() => Err(setup(error)),
        Err(_) if is_https => Err(ClientError::NoRoots),
        Err(_) => builder().tls_certs_only([]).build().map_err(setup),
    }
}

/// Returns whether this machine has CA certificates.
#[must_use]
pub fn are_there() -> bool {
    Client::builder().no_proxy().build().is_ok()
}
