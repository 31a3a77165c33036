//! `meetwatch status`: what goes on, in numbers.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::daemon::{Column, Daemon, Reach, cell, rendered, show_json};
use super::output;

const TARGETS: [Column; 4] = [
    ("target", "/name"),
    ("live", "/conferences_live"),
    ("participants", "/participants"),
    ("last_discovery", "/last_discovery"),
];

const IDENTITIES: [Column; 4] = [("identity", "/name"), ("up", "/up"), ("reason", "/reason"), ("remedy", "/remedy")];

/// Show what the running daemon watches, in numbers
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    reach: Reach,
}

/// Shows the status.
///
/// # Errors
/// Where no daemon runs.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let status = Daemon::of(&args.reach)?.get(&["status"], &[]).await?;
    if args.reach.json {
        show_json(&status)?;
    } else {
        output::line(text(&status).trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(status: &Value) -> String {
    let ready = if status["ready"] == json!(true) { "ready" } else { "not ready" };
    let mut text =
        format!("meetwatch {}, {ready}, {} live\n", cell(&status["version"]), cell(&status["conferences_live"]));
    for (list, columns) in [("targets", &TARGETS), ("identities", &IDENTITIES)] {
        let rows = with_names(&status[list]);
        if !rows.is_empty() {
            text.push_str(&format!("\n{}", rendered(&rows, columns)));
        }
    }
    text
}

/// The values of an object, each with its key as its name.
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
        let told = text(&json!({
            "version": "1.0.0", "ready": true, "conferences_live": 1,
            "targets": {"board": {"conferences_live": 1, "participants": 4, "last_discovery": null}},
            "identities": {"me": {"up": false, "reason": "delegation", "remedy": "allow the scope"}},
        }));
        assert!(told.starts_with("meetwatch 1.0.0, ready, 1 live\n"), "{told}");
        assert!(told.contains("board   1     4             -"), "{told}");
        assert!(told.contains("me        no  delegation  allow the scope"), "{told}");
    }
}
