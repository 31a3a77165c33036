//! A client for the API of the running daemon. Address and token come from the daemon's configuration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{anyhow, bail};
use reqwest::{Client, Method, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::daemon_address::DaemonAddress;
use crate::capped_body::{self, BodyError};
use crate::config::{self, Config, Environment};
use crate::serve::token as api_token;

/// How long an answer may take: a little longer than the longest test of an endpoint.
const TIMEOUT: Duration = Duration::from_secs(310);

/// A daemon on this machine accepts a connection at once or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer that is read.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// The options of every command that talks to the daemon.
#[derive(Debug, clap::Args)]
pub(super) struct DaemonArgs {
    /// The configuration file of the daemon
    #[arg(long, value_name = "FILE", global = true, default_value = "/etc/meetwatch/meetwatch.toml")]
    pub(super) config: PathBuf,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// A client of one daemon.
pub(super) struct DaemonClient {
    client: Client,
    address: DaemonAddress,
    token: SecretString,
    config: PathBuf,
}

impl DaemonClient {
    /// Returns a client of the daemon that runs with the configuration of `args`. Does not connect.
    ///
    /// # Errors
    /// Where the configuration is invalid, or there is no token.
    pub(super) fn new(args: &DaemonArgs) -> anyhow::Result<Self> {
        let config = config::load(&args.config, &Environment::read())?;
        Self::at(DaemonAddress::from_config(&config)?, token(&config)?, &args.config)
    }

    fn at(address: DaemonAddress, token: SecretString, config: &Path) -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().timeout(TIMEOUT).connect_timeout(CONNECT_TIMEOUT);
        Ok(Self { client: address.configure(client)?.build()?, address, token, config: config.to_owned() })
    }

    /// Sends a GET for `path`, given as its segments below `/api/v1`, with these query parameters. Returns the JSON answer.
    pub(super) async fn get(&self, path: &[&str], query: &[(&str, String)]) -> anyhow::Result<Value> {
        let mut url = self.url(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(Method::GET, url, None).await
    }

    /// Sends a POST for `path`, given as its segments, with this JSON body.
    pub(super) async fn post(&self, path: &[&str], body: Option<Value>) -> anyhow::Result<Value> {
        self.send(Method::POST, self.url(path)?, body).await
    }

    /// Sends a DELETE for `path`, given as its segments.
    pub(super) async fn delete(&self, path: &[&str]) -> anyhow::Result<Value> {
        self.send(Method::DELETE, self.url(path)?, None).await
    }

    fn url(&self, path: &[&str]) -> anyhow::Result<Url> {
        let mut url = self.address.base.clone();
        // Each segment is percent-encoded, so a name cannot change the path.
        url.path_segments_mut().map_err(|()| anyhow!("the daemon's address has no paths"))?.pop_if_empty().extend(path);
        Ok(url)
    }

    async fn send(&self, method: Method, url: Url, body: Option<Value>) -> anyhow::Result<Value> {
        let mut request = self.client.request(method, url).bearer_auth(self.token.expose_secret());
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let bytes = capped_body::read(response, MAX_ANSWER_BYTES).await.map_err(|error| match error {
            BodyError::TooLarge => {
                anyhow!("the daemon's answer is longer than {} MiB; narrow the request down", MAX_ANSWER_BYTES >> 20)
            }
            BodyError::Broken(error) => {
                anyhow!(error).context("the connection broke before the daemon's answer was complete")
            }
        })?;
        let answer: Option<Value> = serde_json::from_slice(&bytes).ok();
        if status == reqwest::StatusCode::UNAUTHORIZED {
            bail!(
                "the daemon at {} refuses the token of {}: it runs with another configuration",
                self.host(),
                self.config.display()
            );
        }
        if !status.is_success() {
            let why = answer
                .as_ref()
                .and_then(|answer| answer["error"].as_str())
                .unwrap_or("the daemon refused the request without a reason");
            bail!("{}", crate::model::text::for_terminal(why));
        }
        answer.ok_or_else(|| anyhow!("the server at {} is not meetwatch", self.host()))
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        if error.is_connect() {
            let config = self.config.display();
            return anyhow!(
                "no daemon runs at {}, the address in {config}; start it with: meetwatch run --config {config}",
                self.host()
            );
        }
        let what = if error.is_timeout() { "did not answer in time" } else { "closed the connection" };
        anyhow!("the daemon at {} {what}", self.host())
    }

    fn host(&self) -> &str {
        &self.address.display
    }
}

/// Returns the API token of the daemon: the configured one, or the one that the daemon's first start created.
pub(super) fn token(config: &Config) -> anyhow::Result<SecretString> {
    if let Some(token) = &config.server.token {
        return Ok(token.clone());
    }
    let path = api_token::path_beside(&config.store.path);
    if !path.try_exists().unwrap_or(true) {
        bail!(
            "no daemon has run with this configuration yet: its first start creates {}, which does not exist",
            path.display()
        );
    }
    api_token::load(&path).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;

    fn client_of(address: std::net::SocketAddr) -> DaemonClient {
        let text = format!("[[identity]]\nname = \"a\"\naccess_token_file = \"t\"\n[server]\nlisten = \"{address}\"\n");
        let environment = Environment::default();
        let origin = Origin { file: "m.toml", folder: Path::new(""), environment: &environment, world_readable: false };
        let config = config::parse(&text, &origin).unwrap();
        DaemonClient::at(DaemonAddress::from_config(&config).unwrap(), "t".into(), Path::new("m.toml")).unwrap()
    }

    #[test]
    fn a_name_cannot_change_the_path() {
        let client = client_of(([127, 0, 0, 1], 1).into());
        let url = client.url(&["endpoints", "../x?y", "test"]).unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:1/api/v1/endpoints/..%2Fx%3Fy/test");
    }

    #[tokio::test]
    async fn without_a_daemon_the_error_says_how_to_start_one() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let client = client_of(free);
        let error = client.get(&["status"], &[]).await.unwrap_err().to_string();
        assert!(error.starts_with("no daemon runs at http://127.0.0.1:") && error.contains("meetwatch run"), "{error}");
    }
}
