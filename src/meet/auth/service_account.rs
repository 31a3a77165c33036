//! Obtains the token of a service account through yup-oauth2: for itself or, with a subject, for a user of its domain.
//!
//! The authenticator is built for each token, about once an hour, so that a replaced key file is used without a restart.
//! [`super::Tokens`] does the caching.

use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::{Client, connect::Connect};
use hyper_util::rt::TokioExecutor;
use reqwest::Url;
use reqwest::header::HeaderValue;
use yup_oauth2::client::{CustomHyperClientBuilder, DefaultHyperClientBuilder, HyperClientBuilder};
use yup_oauth2::error::SendError;
use yup_oauth2::{AccessToken, Error, ServiceAccountAuthenticator, ServiceAccountKey};

use super::oauth_error::{GrantType, oauth_failure};
use super::scopes::Scopes;
use super::token_endpoint::IssuedToken;
use crate::clock::{Clock, elapsed};
use crate::meet::error::Reason;
use crate::meet::failure::Failure;
use crate::meet::remedy;
use crate::tls_roots;

const BROKEN_KEY: &str = "download the service account's key again: its private key cannot be read";

/// Obtains a token.
pub(super) async fn token(
    key: ServiceAccountKey,
    subject: Option<&str>,
    scopes: Scopes,
    proxy: Option<&Url>,
    clock: &Clock,
) -> Result<IssuedToken, Failure> {
    match proxy {
        Some(proxy) => request_token(key, subject, scopes, through(proxy)?, clock).await,
        // Without TLS no certificates are needed, and the machine may have none.
        None if key.token_uri.starts_with("http://") => request_token(key, subject, scopes, plain(), clock).await,
        None => request_token(key, subject, scopes, DefaultHyperClientBuilder::default(), clock).await,
    }
}

async fn request_token<C: HyperClientBuilder>(
    key: ServiceAccountKey,
    subject: Option<&str>,
    scopes: Scopes,
    client: C,
    clock: &Clock,
) -> Result<IssuedToken, Failure> {
    let grant = if subject.is_some() { GrantType::Delegated } else { GrantType::ServiceAccount };
    let mut builder = ServiceAccountAuthenticator::with_client(key, client);
    if let Some(subject) = subject {
        builder = builder.subject(subject);
    }
    let authenticator = builder.build().await.map_err(|error| match error.kind() {
        // An invalid key gives these kinds; other errors come from the HTTP client.
        std::io::ErrorKind::InvalidInput => broken_key(),
        _ if error.to_string().contains("hyper client") => {
            Failure::new(Reason::Network, "this machine has no CA certificates", tls_roots::REMEDY)
        }
        _ => broken_key(),
    })?;
    let answer = authenticator.force_refreshed_token(scopes.as_slice()).await;
    token_of(&answer.map_err(|error| failure(&error, grant))?, clock)
}

/// The token in yup-oauth2's answer, with its lifetime from now on.
pub(super) fn token_of(answer: &AccessToken, clock: &Clock) -> Result<IssuedToken, Failure> {
    let text = answer
        .token()
        .ok_or_else(|| Failure::malformed("the response of the token endpoint contains no token"))?
        .to_owned();
    let lifetime = answer.expiration_time().and_then(|expiry| {
        let expiry = jiff::Timestamp::from_second(expiry.unix_timestamp()).ok()?;
        Some(elapsed(clock.now().wall, expiry))
    });
    Ok(IssuedToken { text, lifetime })
}

/// Classifies an error of yup-oauth2.
pub(super) fn failure(error: &Error, grant: GrantType) -> Failure {
    match error {
        Error::AuthError(refused) => {
            oauth_failure(refused.error.as_str(), refused.error_description.as_deref().unwrap_or_default(), grant)
        }
        Error::HttpClientError(SendError::Timeout) => {
            Failure::new(Reason::Timeout, "the token endpoint did not respond within the timeout", "")
        }
        Error::HttpError(_) | Error::HttpClientError(_) => {
            Failure::new(Reason::Network, "the token endpoint cannot be reached", remedy::NETWORK)
        }
        Error::JSONError(_) | Error::MissingAccessToken => {
            Failure::malformed("the response of the token endpoint is not JSON")
        }
        _ => broken_key(),
    }
}

/// The failure of a key whose private part cannot sign.
pub(super) fn broken_key() -> Failure {
    Failure::new(Reason::Credentials, "the private key in the key file cannot be used", BROKEN_KEY)
}

pub(super) fn plain() -> CustomHyperClientBuilder<HttpConnector> {
    client(HttpConnector::new())
}

fn client<C: Connect + Clone + Send + Sync + 'static>(connector: C) -> CustomHyperClientBuilder<C> {
    // With one request an hour, a connection that is kept open would be dead by the next.
    Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build::<_, String>(connector).into()
}

type Proxied = hyper_rustls::HttpsConnector<Tunnel<HttpConnector>>;

fn through(proxy: &Url) -> Result<CustomHyperClientBuilder<Proxied>, Failure> {
    let no_proxy =
        || Failure::new(Reason::Network, "the proxy's address is invalid", "correct `proxy` under `[google]`");
    let mut tunnel = Tunnel::new(proxy.as_str().parse().map_err(|_| no_proxy())?, HttpConnector::new());
    if !proxy.username().is_empty() {
        let pair = format!("{}:{}", proxy.username(), proxy.password().unwrap_or_default());
        let value = format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()));
        tunnel = tunnel.with_auth(HeaderValue::try_from(value).map_err(|_| no_proxy())?);
    }
    let https = HttpsConnectorBuilder::new()
        .with_native_roots()
        .map_err(|_| Failure::new(Reason::Network, "this machine has no CA certificates", tls_roots::REMEDY))?
        .https_or_http()
        .enable_http1()
        .wrap_connector(tunnel);
    Ok(client(https))
}
