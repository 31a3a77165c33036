//! The HTTP clients for everything that goes to Google.

use std::time::Duration;

use reqwest::{Client, Url, redirect};

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

/// Builds the clients. `timeout` bounds each request. Redirects are not followed, because a token may only go to the host
/// it was made for; no proxy is taken from the environment.
pub(super) fn build(proxy: Option<&Url>, timeout: Duration) -> reqwest::Result<HttpClients> {
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
    let direct = builder().build()?;
    let through_proxy = match proxy {
        Some(proxy) => builder().proxy(reqwest::Proxy::all(proxy.clone())?).build()?,
        None => direct.clone(),
    };
    Ok(HttpClients { through_proxy, direct, proxy: proxy.cloned() })
}
