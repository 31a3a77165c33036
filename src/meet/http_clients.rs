//! The HTTP clients for everything that goes to Google.

use std::time::Duration;

use reqwest::{Client, ClientBuilder, Url, redirect};

use super::settings::{GoogleSettings, IdentitySettings};
use crate::tls_roots::{self, ClientError};

/// The `User-Agent` of requests to Google.
const USER_AGENT: &str = concat!("meetwatch/", env!("CARGO_PKG_VERSION"));

/// One client through the configured proxy and one without it.
#[derive(Debug, Clone)]
pub(super) struct HttpClients {
    /// Goes through the proxy if one is configured.
    pub(super) through_proxy: Client,
    /// Never goes through a proxy: for the metadata server on the machine's own network.
    pub(super) direct: Client,
    pub(super) proxy: Option<Url>,
}

/// Builds the clients for these settings. They need the machine's CA certificates only where Google, or the proxy, is
/// reached with https.
pub(super) fn for_google(google: &GoogleSettings, identities: &[IdentitySettings]) -> Result<HttpClients, ClientError> {
    build(google.proxy.as_ref(), google.timeout, google.uses_https(identities))
}

/// Builds the clients. `timeout` bounds each request; `is_https` says whether requests go to addresses with https.
/// Redirects are not followed, because a token may only go to the host it was made for; no proxy is taken from the
/// environment.
pub(super) fn build(proxy: Option<&Url>, timeout: Duration, is_https: bool) -> Result<HttpClients, ClientError> {
    let builder = || {
        Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(timeout)
            // Without keep-alives, every read on a connection that died unnoticed would wait for its timeout.
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(10))
    };
    let through = proxy.map(|proxy| reqwest::Proxy::all(proxy.clone())).transpose().map_err(ClientError::Setup)?;
    let proxied = || through.iter().cloned().fold(builder(), ClientBuilder::proxy);
    // The metadata server has plain http. To read the machine's CA certificates for it too would cost time for nothing.
    let direct = builder().tls_certs_only([]).build().map_err(ClientError::Setup)?;
    let through_proxy = tls_roots::build(proxied, is_https)?;
    Ok(HttpClients { through_proxy, direct, proxy: proxy.cloned() })
}
