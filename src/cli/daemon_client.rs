//! A client for the API of a running daemon.

use std::time::Duration;

use anyhow::anyhow;
use reqwest::{Client, Method, StatusCode, Url};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::client_error;
use super::daemon_address::DaemonAddress;
use super::daemon_args::{ChosenDaemon, DaemonArgs, Token};
use crate::capped_body::{self, BodyError};
use crate::config::Environment;
use crate::model::text::for_terminal;
use crate::serve::metrics::{REVISION, VERSION};

/// How long an answer may take: a little longer than the longest test of an endpoint.
const TIMEOUT: Duration = Duration::from_secs(310);

/// How long a connection may take to be made.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer that is read.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// What the daemon says of a path that it does not have.
const NO_SUCH_PATH: &str = "no such path";

/// A client of one daemon.
pub(super) struct DaemonClient {
    client: Client,
    address: DaemonAddress,
    token: Option<Token>,
}

/// An answer as it came.
struct DaemonAnswer {
    status: StatusCode,
    content_type: String,
    /// `None` if it is no JSON object.
    body: Option<Value>,
}

impl DaemonClient {
    /// Returns a client of the daemon that the options and the environment name. Does not connect.
    ///
    /// # Errors
    /// Where the address, the configuration or the token cannot be used.
    pub(super) fn new(args: &DaemonArgs) -> anyhow::Result<Self> {
        let chosen = args.choose(&Environment::read())?;
        let token = chosen.token()?;
        Self::with(chosen, token)
    }

    fn with(chosen: ChosenDaemon, token: Option<Token>) -> anyhow::Result<Self> {
        let mut address = chosen.address;
        if token.is_some() {
            address.without_password();
        }
        let client = Client::builder().no_proxy().timeout(TIMEOUT).connect_timeout(CONNECT_TIMEOUT);
        Ok(Self { client: address.configure(client)?.build()?, address, token })
    }

    /// Sends a GET for `path`, given as its segments below `/api/v1`, with these query parameters. Returns the JSON answer.
    pub(super) async fn get(&self, path: &[&str], query: &[(&str, String)]) -> anyhow::Result<Value> {
        let mut url = self.url(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(Method::GET, url, None).await
    }

    /// As [`Self::get`], but returns `None` if the daemon does not have what the query names.
    pub(super) async fn find(&self, path: &[&str], query: &[(&str, String)]) -> anyhow::Result<Option<Value>> {
        let mut url = self.url(path)?;
        url.query_pairs_mut().extend_pairs(query);
        let answer = self.exchange(Method::GET, url, None).await?;
        let why = answer.body.as_ref().and_then(|body| body["error"].as_str());
        if answer.status == StatusCode::NOT_FOUND && why.is_some_and(|why| why != NO_SUCH_PATH) {
            return Ok(None);
        }
        self.judge(answer).await.map(Some)
    }

    /// Sends a POST for `path`, given as its segments, with this JSON body.
    pub(super) async fn post(&self, path: &[&str], body: Option<Value>) -> anyhow::Result<Value> {
        self.send(Method::POST, self.url(path)?, body).await
    }

    /// Sends a DELETE for `path`, given as its segments.
    pub(super) async fn delete(&self, path: &[&str]) -> anyhow::Result<Value> {
        self.send(Method::DELETE, self.url(path)?, None).await
    }

    /// Makes the daemon read its configuration again.
    pub(super) async fn reload(&self) -> anyhow::Result<Value> {
        self.send(Method::POST, self.address.url(&["-", "reload"])?, None).await
    }

    fn url(&self, path: &[&str]) -> anyhow::Result<Url> {
        self.address.url(&[&["api", "v1"], path].concat())
    }

    async fn send(&self, method: Method, url: Url, body: Option<Value>) -> anyhow::Result<Value> {
        let answer = self.exchange(method, url, body).await?;
        self.judge(answer).await
    }

    /// Returns the body of a success, and explains any other answer.
    async fn judge(&self, answer: DaemonAnswer) -> anyhow::Result<Value> {
        let DaemonAnswer { status, content_type, body } = answer;
        let error = body.as_ref().and_then(|body| body["error"].as_str());
        match (body.as_ref(), error) {
            (Some(_), _) if status.is_success() => Ok(body.unwrap_or_default()),
            _ if status == StatusCode::UNAUTHORIZED => Err(self.unauthorized()),
            (_, Some(error)) => Err(self.refused(status, error).await),
            (_, None) => Err(client_error::not_meetwatch(&self.address, status, &content_type)),
        }
    }

    async fn exchange(&self, method: Method, url: Url, body: Option<Value>) -> anyhow::Result<DaemonAnswer> {
        let mut request = self.client.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.secret.expose_secret());
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.map_err(|error| client_error::unreachable(&self.address, &error))?;
        let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
        let (status, content_type) = (response.status(), content_type.unwrap_or_default().to_owned());
        let bytes = capped_body::read(response, MAX_ANSWER_BYTES).await.map_err(|error| match error {
            BodyError::TooLarge => {
                anyhow!("the daemon's answer is longer than {} MiB; narrow the request down", MAX_ANSWER_BYTES >> 20)
            }
            BodyError::Broken(error) => {
                anyhow!(error.without_url()).context("the connection broke before the daemon's answer was complete")
            }
        })?;
        let body = serde_json::from_slice(&bytes).ok().filter(Value::is_object);
        Ok(DaemonAnswer { status, content_type, body })
    }

    fn unauthorized(&self) -> anyhow::Error {
        let host = &self.address.display;
        match (&self.token, self.address.config()) {
            (Some(token), Some(_)) if !token.display.starts_with("the token in ") => {
                anyhow!("the daemon at {host} refuses {}: it runs with another configuration", token.display)
            }
            (Some(token), _) => anyhow!(
                "the daemon at {host} refuses {}; its configuration says which tokens it takes (`server.token_file`, \
                 `server.api.token_file`)",
                token.display
            ),
            (None, _) if self.address.has_password() => {
                anyhow!("the daemon at {host} refuses the user and the password in the address; correct them")
            }
            (None, _) => anyhow!(
                "the daemon at {host} asks for a token; name the file that holds it with --token-file or in \
                 MEETWATCH_TOKEN_FILE"
            ),
        }
    }

    /// Explains the daemon's refusal. What it does not know at all may be because it is of another version.
    async fn refused(&self, status: StatusCode, why: &str) -> anyhow::Error {
        let why = for_terminal(why);
        let unknown = match status {
            StatusCode::NOT_FOUND => why == NO_SUCH_PATH,
            StatusCode::BAD_REQUEST => why.starts_with("unknown query parameter"),
            StatusCode::METHOD_NOT_ALLOWED => true,
            _ => false,
        };
        if unknown && let Some(theirs) = self.other_version().await {
            return anyhow!(
                "the daemon at {} is meetwatch {theirs}, which does not know this request ({why}); this program is {VERSION} \
                 ({REVISION}): use one of the daemon's version",
                self.address.display
            );
        }
        anyhow!("{why}")
    }

    /// Returns the daemon's version if it is not that of this program.
    async fn other_version(&self) -> Option<String> {
        let status = self.exchange(Method::GET, self.url(&["status"]).ok()?, None).await.ok()?.body?;
        let (version, revision) = (status["version"].as_str()?, status["revision"].as_str().unwrap_or("unknown"));
        let other = (version, revision) != (VERSION, REVISION);
        other.then(|| for_terminal(&format!("{version} ({revision})")))
    }
}
