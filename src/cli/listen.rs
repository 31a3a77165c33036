//! `meetwatch listen`: a receiver that verifies signatures and prints events.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::event_line::event_line;
use super::output;
use crate::clock::Clock;
use crate::delivery::sign::{self, SigningSecret, TOLERANCE};
use crate::model::Event;
use crate::model::text::for_terminal;

/// No delivery is larger: the longest holds an attendance of 200 people.
const MAX_BODY_BYTES: usize = 4 << 20;

/// Receive webhooks, verify their signatures, and print each event as a line.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9841")]
    listen: SocketAddr,
    /// The secret that signs, `whsec_…`; give it more than once while it changes
    #[arg(long, value_name = "SECRET", required_unless_present = "secret_file")]
    secret: Vec<String>,
    /// A file that holds such a secret, so that it does not show in the list of processes
    #[arg(long, value_name = "FILE")]
    secret_file: Vec<PathBuf>,
    /// Print each event as JSON instead
    #[arg(long)]
    json: bool,
}

/// Listens until it is interrupted.
///
/// # Errors
/// Where a secret is none, or the address is taken.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let secrets = secrets(&args)?;
    let listener = tokio::net::TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let _ = writeln!(std::io::stderr(), "listening on http://{}/", listener.local_addr()?);
    let colour = std::io::stdout().is_terminal();
    let listening = Listening { secrets, clock: Clock::new(), style: Style { json: args.json, colour } };
    axum::serve(listener, router(listening))
        .with_graceful_shutdown(async { drop(output::interrupted().await) })
        .await?;
    Ok(ExitCode::SUCCESS)
}

fn secrets(args: &Args) -> anyhow::Result<Vec<SigningSecret>> {
    let mut secrets = Vec::new();
    for text in &args.secret {
        secrets.push(SigningSecret::parse(text)?);
    }
    for file in &args.secret_file {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        secrets.push(SigningSecret::parse(&text).with_context(|| format!("in {}", file.display()))?);
    }
    if secrets.is_empty() {
        bail!("a secret is needed: --secret or --secret-file");
    }
    Ok(secrets)
}

#[derive(Debug)]
struct Listening {
    secrets: Vec<SigningSecret>,
    clock: Clock,
    style: Style,
}

/// How events are shown.
#[derive(Debug, Clone, Copy)]
struct Style {
    json: bool,
    colour: bool,
}

/// The payload of Standard Webhooks, as far as it is looked at.
#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
}

fn router(listening: Listening) -> Router {
    Router::new()
        .route("/", post(receive))
        .route("/{*path}", post(receive))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Arc::new(listening))
}

async fn receive(State(listening): State<Arc<Listening>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let (status, line) = match read(&listening, &headers, &body) {
        Ok(line) => (StatusCode::NO_CONTENT, Ok(line)),
        Err(Refused { status, why }) => (status, Err(why)),
    };
    let written = match line {
        Ok(line) => writeln!(std::io::stdout(), "{line}"),
        // The reason may quote what a stranger sent.
        Err(why) => writeln!(std::io::stderr(), "refused: {}", for_terminal(&why)),
    };
    // Who cannot print the event has not received it.
    if written.is_err() { StatusCode::SERVICE_UNAVAILABLE } else { status }
}

/// Why a request is not taken, and what it is answered.
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    status: StatusCode,
    why: String,
}

/// Verifies a request and says what to print of it: a line for each event.
fn read(listening: &Listening, headers: &HeaderMap, body: &[u8]) -> Result<String, Refused> {
    let refused = |status, why: String| Refused { status, why };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let now = listening.clock.now().wall;
    let (id, timestamp, signature) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    sign::verify(&listening.secrets, id, timestamp, signature, body, now, TOLERANCE)
        .map_err(|error| refused(StatusCode::UNAUTHORIZED, error.to_string()))?;
    let no_event =
        |error: serde_json::Error| refused(StatusCode::BAD_REQUEST, format!("signed, but no event: {error}"));
    let payloads: Vec<Payload<'_>> = if body.trim_ascii_start().starts_with(b"[") {
        serde_json::from_slice(body).map_err(no_event)?
    } else {
        vec![serde_json::from_slice(body).map_err(no_event)?]
    };
    let mut lines = Vec::with_capacity(payloads.len());
    for payload in payloads {
        let event: Event = serde_json::from_str(payload.data.get()).map_err(no_event)?;
        lines.push(if listening.style.json {
            // A line break in JSON is white space: within a string it is escaped.
            payload.data.get().replace(['\n', '\r'], " ")
        } else {
            event_line(&event, listening.style.colour)
        });
    }
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const BODY: &str = r#"{"type":"webhook.test","timestamp":"2026-01-05T10:00:00Z","data":{"schema":1,"id":"evt_a",
        "type":"webhook.test","time":"2026-01-05T10:00:00Z","observed_at":"2026-01-05T10:00:01Z","provenance":"observed",
        "sequence":null,"targets":[],"conference":null,"participant":null,"session":null,"present":null,"corrects":null}}"#;

    fn listening(json: bool) -> Listening {
        let secrets = vec![SigningSecret::from_bytes(vec![1; 32]).unwrap()];
        Listening { secrets, clock: Clock::new(), style: Style { json, colour: false } }
    }

    fn signed(listening: &Listening, body: &str) -> HeaderMap {
        let timestamp = listening.clock.now().wall.as_second();
        let signature = listening.secrets[0].sign("evt_a", timestamp, body.as_bytes());
        HeaderMap::from_iter([
            ("webhook-id".parse().unwrap(), HeaderValue::from_static("evt_a")),
            ("webhook-timestamp".parse().unwrap(), HeaderValue::from(timestamp)),
            ("webhook-signature".parse().unwrap(), HeaderValue::from_str(&signature).unwrap()),
        ])
    }

    #[test]
    fn a_signed_event_is_a_line() {
        let text = listening(false);
        let line = read(&text, &signed(&text, BODY), BODY.as_bytes()).unwrap();
        assert!(line.starts_with("10:00:00Z  -") && line.ends_with("observed    +1.0s"), "{line}");
        let json = listening(true);
        let line = read(&json, &signed(&json, BODY), BODY.as_bytes()).unwrap();
        assert!(line.starts_with('{') && line.contains(r#""id":"evt_a""#) && !line.contains('\n'), "{line}");
    }

    #[test]
    fn a_batch_is_a_line_for_each_event() {
        let text = listening(true);
        let batch = format!("[{BODY},{BODY}]");
        let lines = read(&text, &signed(&text, &batch), batch.as_bytes()).unwrap();
        assert_eq!(lines.lines().filter(|line| line.contains(r#""id":"evt_a""#)).count(), 2, "{lines}");
    }

    #[test]
    fn what_is_not_signed_or_no_event_is_refused() {
        let listening = listening(false);
        let unsigned = read(&listening, &HeaderMap::new(), BODY.as_bytes()).unwrap_err();
        assert_eq!(unsigned.status, StatusCode::UNAUTHORIZED);
        let changed = read(&listening, &signed(&listening, BODY), b"{}").unwrap_err();
        assert_eq!(changed.status, StatusCode::UNAUTHORIZED);
        let no_event = read(&listening, &signed(&listening, "{}"), b"{}").unwrap_err();
        assert_eq!(no_event.status, StatusCode::BAD_REQUEST);
    }
}
