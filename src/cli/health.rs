//! `meetwatch health`: whether the daemon is ready or alive, for health checks of containers and the like. Needs no other
//! program, such as curl.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail};
use reqwest::Client;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::client_error;
use super::daemon_address::DaemonAddress;
use super::daemon_args::DaemonArgs;
use super::output;
use crate::capped_body::{self, BodyError};
use crate::config::Environment;

/// A daemon that has not answered by then is not healthy. Below the time limit of container engines.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer that is read. The daemon's are some hundred bytes.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Check whether the daemon is ready; the exit code is 0 if it is
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
    /// Check only that the daemon is alive, not that it is ready
    #[arg(long)]
    live: bool,
}

/// Prints `ready` or `alive` where the daemon is.
///
/// # Errors
/// Why it is not: no daemon answers, or what it lacks.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let daemon = args.daemon.choose(&Environment::read())?;
    let token = match daemon.token() {
        Ok(token) => token,
        // Health may be exposed without a token, so one that nobody asked for need not be readable.
        Err(_) if args.daemon.token_file.is_none() => None,
        Err(error) => return Err(error),
    };
    let mut address = daemon.address;
    if token.is_some() {
        address.without_password();
    }
    let client = address.configure(Client::builder().no_proxy().timeout(TIMEOUT))?.build()?;
    let answer = ask(&client, &address, token.as_ref().map(|token| &token.secret), args.live).await?;
    output::line(answer)?;
    Ok(ExitCode::SUCCESS)
}

/// Asks the daemon and returns `ready` or `alive`.
async fn ask(
    client: &Client,
    address: &DaemonAddress,
    token: Option<&SecretString>,
    live: bool,
) -> anyhow::Result<&'static str> {
    let display = &address.display;
    let (path, state) = if live { ("livez", "alive") } else { ("readyz", "ready") };
    let mut request = client.get(address.url(&[path])?);
    if let Some(token) = token {
        request = request.bearer_auth(token.expose_secret());
    }
    let response = request.send().await.map_err(|error| client_error::unreachable(address, &error))?;
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
            "the daemon at {display} requires a token for its health; name one with --token-file, or set expose = [\"health\"] under [server]"
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

    async fn at(routes: Router) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        url
    }

    async fn check(url: &str, live: bool) -> anyhow::Result<&'static str> {
        let address = DaemonAddress::from_url(url).unwrap();
        let client = address.configure(Client::builder().no_proxy()).unwrap().build().unwrap();
        ask(&client, &address, None, live).await
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
        let unreachable = format!("http://u:hush@{free}/");
        let why_not = format!("{:#}", check(&unreachable, false).await.unwrap_err());
        assert!(
            why_not.starts_with("no daemon answers at http://127.0.0.1:") && !why_not.contains("hush"),
            "{why_not}"
        );
    }
}
