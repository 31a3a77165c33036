//! The running daemon, asked through its API: found by the configuration, with the token that lies beside its store.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use reqwest::{Client, Method, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::reach::Way;
use super::{output, table};
use crate::config::{self, Config, Environment};
use crate::serve::token;

/// How long an answer may take: the longest that trying an endpoint can, and a little more.
const TIMEOUT: Duration = Duration::from_secs(310);

/// A daemon on this machine takes the connection at once or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// No answer is longer.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// What every command that asks the daemon can be told.
#[derive(Debug, clap::Args)]
pub(super) struct Reach {
    /// The configuration that the daemon runs with
    #[arg(long, value_name = "FILE", global = true, default_value = "/etc/meetwatch/meetwatch.toml")]
    pub(super) config: PathBuf,
    /// JSON for programs, in place of a table for people
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// A daemon that is expected to run.
pub(super) struct Daemon {
    client: Client,
    way: Way,
    token: SecretString,
    config: PathBuf,
}

impl Daemon {
    /// The daemon that runs with a configuration.
    ///
    /// # Errors
    /// Where the configuration is not good, or there is no token.
    pub(super) fn of(reach: &Reach) -> anyhow::Result<Self> {
        let config = config::load(&reach.config, &Environment::read())?;
        Self::at(Way::of(&config)?, token_of(&config)?, &reach.config)
    }

    fn at(way: Way, token: SecretString, config: &Path) -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().timeout(TIMEOUT).connect_timeout(CONNECT_TIMEOUT);
        Ok(Self { client: way.take(client)?.build()?, way, token, config: config.to_owned() })
    }

    /// Reads what is at `path`, whose segments are given one by one, with these parameters.
    pub(super) async fn get(&self, path: &[&str], query: &[(&str, String)]) -> anyhow::Result<Value> {
        let mut url = self.url(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.ask(Method::GET, url, None).await
    }

    /// Has the daemon do something.
    pub(super) async fn post(&self, path: &[&str], body: Option<Value>) -> anyhow::Result<Value> {
        self.ask(Method::POST, self.url(path)?, body).await
    }

    pub(super) async fn delete(&self, path: &[&str]) -> anyhow::Result<Value> {
        self.ask(Method::DELETE, self.url(path)?, None).await
    }

    fn url(&self, path: &[&str]) -> anyhow::Result<Url> {
        let mut url = self.way.base.clone();
        // Each segment is encoded, so that no name leads elsewhere.
        url.path_segments_mut().map_err(|()| anyhow!("the daemon's address has no paths"))?.pop_if_empty().extend(path);
        Ok(url)
    }

    async fn ask(&self, method: Method, url: Url, body: Option<Value>) -> anyhow::Result<Value> {
        let mut request = self.client.request(method, url).bearer_auth(self.token.expose_secret());
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let mut response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.context("the daemon's answer broke off")? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                bail!("the daemon's answer is longer than {} MiB; ask for less", MAX_ANSWER_BYTES >> 20);
            }
            bytes.extend_from_slice(&chunk);
        }
        let answer: Option<Value> = serde_json::from_slice(&bytes).ok();
        if status == reqwest::StatusCode::UNAUTHORIZED {
            bail!(
                "the daemon at {} does not take the token of {}: it runs with another",
                self.host(),
                self.config.display()
            );
        }
        if !status.is_success() {
            let why = answer.as_ref().and_then(|answer| answer["error"].as_str()).unwrap_or("no reason given");
            bail!("{}", crate::model::text::for_terminal(why));
        }
        answer.ok_or_else(|| anyhow!("what answers at {} is no meetwatch", self.host()))
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        if error.is_connect() {
            let config = self.config.display();
            return anyhow!(
                "no daemon runs at {}, where {config} has it; start it: meetwatch run --config {config}",
                self.host()
            );
        }
        let what = if error.is_timeout() { "did not answer in time" } else { "broke off the connection" };
        anyhow!("the daemon at {} {what}", self.host())
    }

    fn host(&self) -> &str {
        &self.way.shown
    }
}

fn token_of(config: &Config) -> anyhow::Result<SecretString> {
    if let Some(token) = &config.server.token {
        return Ok(token.clone());
    }
    let path = token::path_beside(&config.store.path);
    if !path.try_exists().unwrap_or(true) {
        bail!(
            "no daemon has run with this configuration: {} is not there, which its first start makes",
            path.display()
        );
    }
    token::load(&path).map_err(Into::into)
}

/// One column of a table: its title, and where its value is in a row.
pub(super) type Column = (&'static str, &'static str);

/// Shows the rows that an answer has under `list`, or the whole answer as JSON.
pub(super) fn show_list(answer: &Value, list: &str, columns: &[Column], json: bool) -> anyhow::Result<()> {
    if json {
        return show_json(answer);
    }
    let rows = answer[list].as_array().map(Vec::as_slice).unwrap_or_default();
    output::line(rendered(rows, columns).trim_end())
}

/// Shows an answer as it is.
pub(super) fn show_json(answer: &Value) -> anyhow::Result<()> {
    output::line(serde_json::to_string_pretty(answer)?)
}

/// A table of rows; nothing in it acts on the terminal.
pub(super) fn rendered(rows: &[Value], columns: &[Column]) -> String {
    let titles: Vec<&str> = columns.iter().map(|(title, _)| *title).collect();
    let cells = |row: &Value| columns.iter().map(|(_, at)| cell(row.pointer(at).unwrap_or(&Value::Null))).collect();
    table::render(&titles, &rows.iter().map(cells).collect::<Vec<_>>())
}

/// A value as a table shows it.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Origin;

    fn daemon(address: std::net::SocketAddr) -> Daemon {
        let text = format!("[[identity]]\nname = \"a\"\naccess_token_file = \"t\"\n[server]\nlisten = \"{address}\"\n");
        let environment = Environment::default();
        let origin = Origin { file: "m.toml", folder: Path::new(""), environment: &environment, world_readable: false };
        let config = config::parse(&text, &origin).unwrap();
        Daemon::at(Way::of(&config).unwrap(), "t".into(), Path::new("m.toml")).unwrap()
    }

    #[test]
    fn a_table_shows_what_is_there_and_nothing_acts() {
        let rows = [json!({"a": "x\u{7}", "b": {"c": 1}}), json!({"a": null, "d": true})];
        let table = rendered(&rows, &[("a", "/a"), ("c", "/b/c"), ("d", "/d")]);
        assert_eq!(table, "A       C  D\nx\\u{7}  1  -\n-       -  yes\n");
    }

    #[test]
    fn no_name_leads_to_another_path() {
        let daemon = daemon(([127, 0, 0, 1], 1).into());
        let url = daemon.url(&["endpoints", "../x?y", "test"]).unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:1/api/v1/endpoints/..%2Fx%3Fy/test");
    }

    #[tokio::test]
    async fn without_a_daemon_one_sentence_says_so() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let daemon = daemon(free);
        let error = daemon.get(&["status"], &[]).await.unwrap_err().to_string();
        assert!(error.starts_with("no daemon runs at http://127.0.0.1:") && error.contains("meetwatch run"), "{error}");
    }
}
