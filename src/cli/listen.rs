//! `meetwatch listen`: a webhook receiver that verifies signatures and prints events. It can also simulate failures.

mod faults;

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
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use self::faults::{FaultArgs, ReceiverAnswer, ReceiverFaults};
use super::event_line::event_line;
use super::input_file;
use super::output;
use crate::clock::Clock;
use crate::delivery::sign::{self, SigningSecret, TOLERANCE};
use crate::model::Event;
use crate::model::text::{for_json, for_terminal};

/// The longest request that is read. The longest delivery, an attendance of 200 people, is shorter.
const MAX_BODY_BYTES: usize = 4 << 20;

/// Receive webhooks, verify their signatures, and print each event as a line
///
/// --status, --delay and --rate simulate failures, to see how an endpoint copes. What is refused is not printed as an event.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("secrets").args(["secret", "secret_file"]).required(true).multiple(true))]
pub(super) struct Args {
    /// The address to listen on; port 0 means any free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9841", value_parser = super::values::listen_address)]
    listen: SocketAddr,
    /// The webhook's signing secret, `whsec_…`; repeat it to accept several while a secret is rotated
    #[arg(long, value_name = "SECRET")]
    secret: Vec<String>,
    /// A file with a signing secret, which keeps the secret out of the list of processes; can be repeated
    #[arg(long, value_name = "FILE")]
    secret_file: Vec<PathBuf>,
    /// Print each event as JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    faults: FaultArgs,
}

/// Receives webhooks until it is interrupted.
///
/// # Errors
/// Where a secret is malformed, or the address cannot be bound.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let secrets = secrets(&args)?;
    let listener = tokio::net::TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let _ = writeln!(std::io::stderr(), "listening on http://{}/", listener.local_addr()?);
    let colour = std::io::stdout().is_terminal();
    let format = EventFormat { json: args.json, colour };
    let receiver = WebhookReceiver { secrets, clock: Clock::new(), format, faults: ReceiverFaults::new(&args.faults)? };
    axum::serve(listener, router(receiver)).with_graceful_shutdown(async { drop(output::interrupted().await) }).await?;
    Ok(ExitCode::SUCCESS)
}

fn secrets(args: &Args) -> anyhow::Result<Vec<SigningSecret>> {
    let mut secrets = Vec::new();
    for text in &args.secret {
        secrets.push(SigningSecret::parse(text).context("--secret")?);
    }
    for file in &args.secret_file {
        let text = input_file::read("--secret-file", file)?;
        secrets.push(SigningSecret::parse(&text).with_context(|| format!("--secret-file: {}", file.display()))?);
    }
    if secrets.is_empty() {
        bail!("a secret is needed: --secret or --secret-file");
    }
    Ok(secrets)
}

#[derive(Debug)]
struct WebhookReceiver {
    secrets: Vec<SigningSecret>,
    clock: Clock,
    format: EventFormat,
    faults: ReceiverFaults,
}

/// How events are printed.
#[derive(Debug, Clone, Copy)]
struct EventFormat {
    json: bool,
    colour: bool,
}

/// The envelope of Standard Webhooks, reduced to the field that is read.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
}

fn router(receiver: WebhookReceiver) -> Router {
    Router::new()
        .route("/", post(receive))
        .route("/{*path}", post(receive))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Arc::new(receiver))
}

async fn receive(State(receiver): State<Arc<WebhookReceiver>>, headers: HeaderMap, body: Bytes) -> Response {
    let lines = match read(&receiver, &headers, &body) {
        Ok(lines) => lines,
        Err(RejectedRequest { status, why }) => {
            // The reason may quote the request, which anybody can send.
            output::complain(format_args!("rejected: {}", for_terminal(&why)));
            return status.into_response();
        }
    };
    let faults = &receiver.faults;
    let answer = faults.answer(receiver.clock.mono());
    tokio::time::sleep(faults.delay).await;
    if let ReceiverAnswer::Refuse(status) = answer {
        let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
        output::complain(format_args!("answered {}: {}", status.as_u16(), for_terminal(id)));
        return status.into_response();
    }
    let answer = match faults.forward(&headers, body, MAX_BODY_BYTES).await {
        None => faults.status().into_response(),
        Some(Ok((status, body))) => {
            if !status.is_success() {
                output::complain(format_args!("--forward answered {}", status.as_u16()));
            }
            (status, body).into_response()
        }
        Some(Err(why)) => {
            output::complain(format_args!("cannot pass it on: {}", for_terminal(&why)));
            StatusCode::BAD_GATEWAY.into_response()
        }
    };
    // An event that could not be printed was not received: the sender must retry.
    let printed = writeln!(std::io::stdout(), "{lines}");
    if printed.is_err() { StatusCode::SERVICE_UNAVAILABLE.into_response() } else { answer }
}

/// Why a request is rejected, and the status of the answer.
#[derive(Debug, PartialEq, Eq)]
struct RejectedRequest {
    status: StatusCode,
    why: String,
}

/// Verifies the signature of a request by the headers of Standard Webhooks.
///
/// # Errors
/// Where a header is missing or malformed, the timestamp is out of tolerance, or no secret fits the signature.
pub(super) fn verify(
    secrets: &[SigningSecret],
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<(), sign::VerifyError> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (id, timestamp, signature) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    sign::verify(secrets, id, timestamp, signature, body, now, TOLERANCE)
}

/// Verifies a request and returns the lines to print, one for each of its events.
fn read(receiver: &WebhookReceiver, headers: &HeaderMap, body: &[u8]) -> Result<String, RejectedRequest> {
    let rejected = |status, why: String| RejectedRequest { status, why };
    verify(&receiver.secrets, headers, body, receiver.clock.now().wall)
        .map_err(|error| rejected(StatusCode::UNAUTHORIZED, error.to_string()))?;
    let not_an_event = |error: serde_json::Error| {
        rejected(StatusCode::BAD_REQUEST, format!("the signature is valid, but the body is not an event: {error}"))
    };
    let envelopes: Vec<Envelope<'_>> = if body.trim_ascii_start().starts_with(b"[") {
        serde_json::from_slice(body).map_err(not_an_event)?
    } else {
        vec![serde_json::from_slice(body).map_err(not_an_event)?]
    };
    let mut lines = Vec::with_capacity(envelopes.len());
    for envelope in envelopes {
        let event: Event = serde_json::from_str(envelope.data.get()).map_err(not_an_event)?;
        lines.push(if receiver.format.json {
            // A line break between JSON tokens is white space; within a string it is escaped.
            for_json(&envelope.data.get().replace(['\n', '\r'], " "))
        } else {
            event_line(&event, receiver.format.colour)
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

    fn receiver(json: bool) -> WebhookReceiver {
        let secrets = vec![SigningSecret::from_bytes(vec![1; 32]).unwrap()];
        let faults = ReceiverFaults::new(&crate::cli::arguments::parsed::<FaultArgs>("").unwrap()).unwrap();
        WebhookReceiver { secrets, clock: Clock::new(), format: EventFormat { json, colour: false }, faults }
    }

    fn signed(receiver: &WebhookReceiver, body: &str) -> HeaderMap {
        let timestamp = receiver.clock.now().wall.as_second();
        let signature = receiver.secrets[0].sign("evt_a", timestamp, body.as_bytes());
        HeaderMap::from_iter([
            ("webhook-id".parse().unwrap(), HeaderValue::from_static("evt_a")),
            ("webhook-timestamp".parse().unwrap(), HeaderValue::from(timestamp)),
            ("webhook-signature".parse().unwrap(), HeaderValue::from_str(&signature).unwrap()),
        ])
    }

    #[test]
    fn a_signed_event_is_a_line() {
        let text = receiver(false);
        let line = read(&text, &signed(&text, BODY), BODY.as_bytes()).unwrap();
        assert!(line.starts_with("10:00:00Z  -") && line.ends_with("observed    +1.0s"), "{line}");
        let json = receiver(true);
        let line = read(&json, &signed(&json, BODY), BODY.as_bytes()).unwrap();
        assert!(line.starts_with('{') && line.contains(r#""id":"evt_a""#) && !line.contains('\n'), "{line}");
    }

    #[test]
    fn a_batch_is_a_line_for_each_event() {
        let text = receiver(true);
        let batch = format!("[{BODY},{BODY}]");
        let lines = read(&text, &signed(&text, &batch), batch.as_bytes()).unwrap();
        assert_eq!(lines.lines().filter(|line| line.contains(r#""id":"evt_a""#)).count(), 2, "{lines}");
    }

    #[test]
    fn unsigned_requests_and_bodies_without_an_event_are_rejected() {
        let receiver = receiver(false);
        let unsigned = read(&receiver, &HeaderMap::new(), BODY.as_bytes()).unwrap_err();
        assert_eq!(unsigned.status, StatusCode::UNAUTHORIZED);
        let changed = read(&receiver, &signed(&receiver, BODY), b"{}").unwrap_err();
        assert_eq!(changed.status, StatusCode::UNAUTHORIZED);
        let no_event = read(&receiver, &signed(&receiver, "{}"), b"{}").unwrap_err();
        assert_eq!(no_event.status, StatusCode::BAD_REQUEST);
    }
}
