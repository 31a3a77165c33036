//! `meetwatch status`: a summary of the running daemon.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::daemon_args::DaemonArgs;
use super::daemon_client::DaemonClient;
use super::output;
use super::output_args::OutputArgs;
use super::table::{Column, cell, counted, render_rows};
use crate::model::text::for_terminal;

const TARGETS: [Column; 4] = [
    ("target", "/name"),
    ("live", "/conferences_live"),
    ("participants", "/participants"),
    ("last_discovery", "/last_discovery"),
];

const IDENTITIES: [Column; 3] = [("identity", "/name"), ("up", "/up"), ("reason", "/reason")];

/// Show a summary of the running daemon: live conferences, targets, identities
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints the status.
///
/// # Errors
/// Where no daemon runs.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let json = args.output.json()?;
    let status = DaemonClient::new(&args.daemon)?.get(&["status"], &[]).await?;
    if json {
        output::json(&status)?;
    } else {
        output::line(text(&status, output::width()).trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(status: &Value, width: usize) -> String {
    let ready = if status["ready"] == json!(true) { "ready" } else { "not ready" };
    let mut text = format!("meetwatch {}, {ready}, {}\n", cell(&status["version"]), live(&status["conferences_live"]));
    for (list, columns) in [("targets", TARGETS.as_slice()), ("identities", IDENTITIES.as_slice())] {
        let rows = with_names(&status[list]);
        if !rows.is_empty() {
            text.push_str(&format!("\n{}", render_rows(&rows, columns, width)));
        }
    }
    // Below the table, because a sentence that tells what to do must not be cut.
    for identity in with_names(&status["identities"]) {
        if let Some(remedy) = identity["remedy"].as_str().filter(|remedy| !remedy.is_empty()) {
            text.push_str(&format!("\n{}: {}\n", for_terminal(&cell(&identity["name"])), for_terminal(remedy)));
        }
    }
    text
}

fn live(conferences: &Value) -> String {
    counted(conferences.as_u64().unwrap_or_default(), "live conference", "live conferences")
}

/// Returns the values of an object, each with its key added as `name`.
fn with_names(object: &Value) -> Vec<Value> {
    let named = |(name, value): (&String, &Value)| {
        let mut row = value.clone();
        row["name"] = name.as_str().into();
        row
    };
    object.as_object().into_iter().flatten().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_and_identities_have_a_line_each() {
        let status = json!({
            "version": "1.0.0", "ready": true, "conferences_live": 1,
            "targets": {"board": {"conferences_live": 1, "participants": 4, "last_discovery": null}},
            "identities": {"me": {"up": false, "reason": "delegation", "remedy": "allow the scope"}},
        });
        let text = text(&status, 80);
        assert!(text.starts_with("meetwatch 1.0.0, ready, 1 live conference\n"), "{text}");
        assert!(text.contains("board   1     4             -"), "{text}");
        assert!(text.contains("me        no  delegation\n\nme: allow the scope\n"), "{text}");
    }
}
