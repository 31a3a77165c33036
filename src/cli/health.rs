//! `meetwatch health`: whether the daemon is ready or alive, for health checks of containers and the like. Needs no other
//! program, such as curl.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use reqwest::{Client, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::daemon_address::DaemonAddress;
use super::daemon_client;
use super::output;
use crate::capped_body::{self, BodyError};
use crate::config::{self, Environment};

/// A daemon that has not answered by then is not healthy. Below the time limit of container engines.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer that is read. The daemon's are some hundred bytes.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Check whether the daemon is ready; the exit code is 0 if it is
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file of the daemon
    #[arg(long, value_name = "FILE", default_value = "/etc/meetwatch/meetwatch.toml")]
    config: PathBuf,
    /// The address of the daemon, such as http://127.0.0.1:9840, instead of a configuration
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    url: Option<Url>,
    /// Check only that the daemon is alive, not that it is ready
    #[arg(long)]
    live: bool,
}

/// Prints `ready` or `alive` where the daemon is.
///
/// # Errors
/// Why it is not: no daemon answers, or what it lacks.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let client = Client::builder().no_proxy().timeout(TIMEOUT);
    let answer = match args.url {
        Some(url) => {
            // The URL may hold a password, so messages show only host and port.
            let host = url.host_str().unwrap_or_default();
            let display = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
            // With plain http the machine need not have CA certificates.
            let client = if url.scheme() == "http" { client.tls_certs_only([]) } else { client };
            ask(&client.build()?, &url, &display, None, args.live).await?
        }
        None => {
            let config = config::load(&args.config, &Environment::read())?;
            let address = DaemonAddress::from_config(&config)?;
            // A missing token is no error: health may be exposed without one.
            let token = daemon_client::token(&config).ok();
            let client = address.configure(client)?.build()?;
            ask(&client, &address.base.join("/")?, &address.display, token.as_ref(), args.live).await?
        }
    };
    output::line(answer)?;
    Ok(ExitCode::SUCCESS)
}

/// Asks the daemon at `base` and returns `ready` or `alive`. Messages call the daemon `display`.
async fn ask(
    client: &Client,
    base: &Url,
    display: &str,
    token: Option<&SecretString>,
    live: bool,
) -> anyhow::Result<&'static str> {
    let (path, state) = if live { ("livez", "alive") } else { ("readyz", "ready") };
    let mut request = client.get(base.join(path)?);
    if let Some(token) = token {
        request = request.bearer_auth(token.expose_secret());
    }
    let response = request
        .send()
        .await
        .map_err(reqwest::Error::without_url)
        .with_context(|| format!("no daemon answers at {display}"))?;
    let status = response.status();
    let body = capped_body::read(response, MAX_ANSWER_BYTES).await.map_err(|error| match error {
        BodyError::TooLarge => anyhow!("the server at {display} is not meetwatch"),
        BodyError::Broken(error) => error.without_url().into(),
    })?;
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    match (answer[state].as_bool(), status) {
        (Some(true), status) if status.is_success() => Ok(state),
        (Some(_), _) => bail!("the daemon at {display} is not {state}: {}", missing(&answer)),
        (None, reqwest::StatusCode::UNAUTHORIZED) => bail!(
            "the daemon at {display} requires a token for its health; use --config, or set expose = [\"health\"] under [server]"
        ),
        (None, _) => bail!("the server at {display} is not meetwatch"),
    }
}

/// Returns what the daemon lacks according to its answer.
fn missing(answer: &Value) -> String {
    // Another program may answer: nothing but names is printed.
    let name = |value: &Value| value.as_str().filter(|name| is_name(name)).map(str::to_owned);
    let names = |value: &Value| value.as_array().map(|names| names.iter().filter_map(name).collect::<Vec<_>>());
    if answer["stopping"] == true {
        "it is stopping".to_owned()
    } else if let Some(stalled) = names(&answer["stalled"]).filter(|names| !names.is_empty()) {
        format!("it stopped making progress ({}); restart it, and please report this", stalled.join(", "))
    } else if let Some(reason) = name(&answer["store_reason"]) {
        format!("its store cannot be used ({reason}); its log says what to do")
    } else if answer["store"] == false {
        "its store is not open".to_owned()
    } else {
        "it is not listening yet".to_owned()
    }
}

fn is_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
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

    async fn check(url: &Url, live: bool) -> anyhow::Result<&'static str> {
        let display = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        ask(&Client::builder().no_proxy().build().unwrap(), url, &display, None, live).await
    }

    async fn why(routes: Router) -> String {
        format!("{:#}", check(&at(routes).await, false).await.unwrap_err())
    }

    #[tokio::test]
    async fn a_healthy_daemon_is_reported_as_such() {
        let routes = Router::new()
            .route("/livez", get(async || r#"{"alive":true}"#))
            .route("/readyz", get(async || r#"{"ready":true,"store":true,"listener":true,"stopping":false}"#));
        let url = at(routes).await;
        assert_eq!(check(&url, false).await.unwrap(), "ready");
        assert_eq!(check(&url, true).await.unwrap(), "alive");
    }

    #[tokio::test]
    async fn an_unhealthy_daemon_is_an_error_with_its_reason() {
        let stopping = r#"{"ready":false,"store":true,"listener":true,"stopping":true}"#;
        let answer = async move || (StatusCode::SERVICE_UNAVAILABLE, stopping);
        let why_not = why(Router::new().route("/readyz", get(answer))).await;
        assert!(why_not.ends_with("is not ready: it is stopping"), "{why_not}");
        for (answer, said) in [
            (r#"{"ready":false,"store":false,"store_reason":"gone"}"#, "its store cannot be used (gone)"),
            (r#"{"ready":false,"store":true,"stalled":["polling","writing"]}"#, "making progress (polling, writing)"),
        ] {
            let answer = async move || (StatusCode::SERVICE_UNAVAILABLE, answer);
            let why_not = why(Router::new().route("/readyz", get(answer))).await;
            assert!(why_not.contains(said), "{why_not}");
        }
        let guarded = async || (StatusCode::UNAUTHORIZED, r#"{"error":"no"}"#);
        let why_not = why(Router::new().route("/readyz", get(guarded))).await;
        assert!(why_not.contains("requires a token"), "{why_not}");
        let why_not = why(Router::new()).await;
        assert!(why_not.ends_with("is not meetwatch"), "{why_not}");
        // Status 200 with another body does not count.
        let why_not = why(Router::new().route("/readyz", get(async || "it works"))).await;
        assert!(why_not.ends_with("is not meetwatch"), "{why_not}");
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let unreachable = Url::parse(&format!("http://u:hush@{free}/")).unwrap();
        let why_not = format!("{:#}", check(&unreachable, false).await.unwrap_err());
        assert!(why_not.starts_with("no daemon answers at 127.0.0.1:") && !why_not.contains("hush"), "{why_not}");
    }
}
