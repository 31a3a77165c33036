//! `meetwatch health`: whether the daemon is well, for what starts and stops it, such as a container's health check. It needs
//! nothing but this program.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Client, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::daemon::token_of;
use super::output;
use super::reach::Way;
use crate::config::{self, Environment};

/// Whoever has not answered by then is not well. Below the time that container engines give a check.
const TIMEOUT: Duration = Duration::from_secs(5);

/// An answer is some hundred bytes; of whatever else answers no more is read.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Ask a running daemon whether it is well; the exit code says it
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration that the daemon runs with
    #[arg(long, value_name = "FILE", default_value = "/etc/meetwatch/meetwatch.toml")]
    config: PathBuf,
    /// Where it listens, such as http://127.0.0.1:9840, without a look into the configuration
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    url: Option<Url>,
    /// Ask only whether it lives, not whether it is ready
    #[arg(long)]
    live: bool,
}

/// Exit code 0 if it is well.
///
/// # Errors
/// Why it is not: nobody answers, or what it says is missing.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let client = Client::builder().no_proxy().timeout(TIMEOUT);
    let answer = match args.url {
        Some(url) => {
            // An address may have a password in it, so it is shown without.
            let host = url.host_str().unwrap_or_default();
            let shown = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
            ask(&client.build()?, &url, &shown, None, args.live).await?
        }
        None => {
            let config = config::load(&args.config, &Environment::read())?;
            let way = Way::of(&config)?;
            // Where health is open, it needs none.
            let token = token_of(&config).ok();
            ask(&way.take(client)?.build()?, &way.base.join("/")?, &way.shown, token.as_ref(), args.live).await?
        }
    };
    output::line(answer)?;
    Ok(ExitCode::SUCCESS)
}

/// What a daemon that is well says of itself.
async fn ask(
    client: &Client,
    base: &Url,
    shown: &str,
    token: Option<&SecretString>,
    live: bool,
) -> anyhow::Result<&'static str> {
    let (path, well) = if live { ("livez", "alive") } else { ("readyz", "ready") };
    let mut request = client.get(base.join(path)?);
    if let Some(token) = token {
        request = request.bearer_auth(token.expose_secret());
    }
    let mut response = request
        .send()
        .await
        .map_err(reqwest::Error::without_url)
        .with_context(|| format!("no daemon answers at {shown}"))?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            bail!("what answers at {shown} is no meetwatch");
        }
        body.extend_from_slice(&chunk);
    }
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    match (answer[well].as_bool(), response.status()) {
        (Some(true), status) if status.is_success() => Ok(well),
        (Some(_), _) => bail!("the daemon at {shown} is not {well}: {}", missing(&answer)),
        (None, reqwest::StatusCode::UNAUTHORIZED) => bail!(
            "the daemon at {shown} wants a token to tell how it is; give --config, or expose = [\"health\"] under [server]"
        ),
        (None, _) => bail!("what answers at {shown} is no meetwatch"),
    }
}

/// What an answer says is missing.
fn missing(answer: &Value) -> &'static str {
    if answer["stopping"] == true {
        "it is about to stop"
    } else if answer["store"] == false {
        "its store is not open"
    } else {
        "it does not listen yet"
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;

    use super::*;

    async fn at(routes: Router) -> Url {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        url
    }

    async fn look(url: &Url, live: bool) -> anyhow::Result<&'static str> {
        let shown = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        ask(&Client::builder().no_proxy().build().unwrap(), url, &shown, None, live).await
    }

    async fn why(routes: Router) -> String {
        format!("{:#}", look(&at(routes).await, false).await.unwrap_err())
    }

    #[tokio::test]
    async fn whoever_is_well_says_so() {
        let routes = Router::new()
            .route("/livez", get(async || r#"{"alive":true}"#))
            .route("/readyz", get(async || r#"{"ready":true,"store":true,"listener":true,"stopping":false}"#));
        let url = at(routes).await;
        assert_eq!(look(&url, false).await.unwrap(), "ready");
        assert_eq!(look(&url, true).await.unwrap(), "alive");
    }

    #[tokio::test]
    async fn whoever_is_not_is_a_failure_with_its_reason() {
        let stopping = r#"{"ready":false,"store":true,"listener":true,"stopping":true}"#;
        let answer = async move || (StatusCode::SERVICE_UNAVAILABLE, stopping);
        let why_not = why(Router::new().route("/readyz", get(answer))).await;
        assert!(why_not.ends_with("is not ready: it is about to stop"), "{why_not}");
        let guarded = async || (StatusCode::UNAUTHORIZED, r#"{"error":"no"}"#);
        let why_not = why(Router::new().route("/readyz", get(guarded))).await;
        assert!(why_not.contains("wants a token"), "{why_not}");
        let why_not = why(Router::new()).await;
        assert!(why_not.ends_with("is no meetwatch"), "{why_not}");
        // 200 and something else is not enough.
        let why_not = why(Router::new().route("/readyz", get(async || "it works"))).await;
        assert!(why_not.ends_with("is no meetwatch"), "{why_not}");
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let nobody = Url::parse(&format!("http://u:hush@{free}/")).unwrap();
        let why_not = format!("{:#}", look(&nobody, false).await.unwrap_err());
        assert!(why_not.starts_with("no daemon answers at 127.0.0.1:") && !why_not.contains("hush"), "{why_not}");
    }
}
