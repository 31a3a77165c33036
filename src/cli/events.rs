//! `meetwatch events`: the event log.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use super::daemon_client::{DaemonArgs, DaemonClient};
use super::event_line::event_line;
use super::output;
use crate::model::Event;

/// How often `--follow` asks for new events.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Print the event log, oldest event first
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
    /// Print only events after this position in the log
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    after: u64,
    /// Keep printing new events until interrupted
    #[arg(long)]
    follow: bool,
}

/// Prints the log.
///
/// # Errors
/// Where no daemon runs, or it stops meanwhile, or the output cannot be written.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let daemon = DaemonClient::new(&args.daemon)?;
    let colour = std::io::stdout().is_terminal();
    let mut after = args.after;
    loop {
        let answer = daemon.get(&["events"], &[("after", after.to_string()), ("limit", "1000".to_owned())]).await?;
        let events = answer["events"].as_array().context("the daemon's answer has no events")?;
        for entry in events {
            output::line(line(entry, args.daemon.json, colour)?)?;
        }
        after = answer["next"].as_u64().unwrap_or(after);
        if events.is_empty() {
            if !args.follow {
                return Ok(ExitCode::SUCCESS);
            }
            tokio::select! {
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                interrupted = output::interrupted() => {
                    interrupted?;
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
    }
}

/// Returns the line of a log entry: the entry as JSON, with its position, or the event as text.
fn line(entry: &Value, json: bool, colour: bool) -> anyhow::Result<String> {
    if json {
        return Ok(entry.to_string());
    }
    let event: Event = serde_json::from_value(entry["event"].clone())
        .context("the daemon's answer has an entry that is not an event")?;
    let line = event_line(&event, colour);
    Ok(if entry["taken_back_by"].is_null() { line } else { format!("{line}  (retracted later)") })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::delivery::format::test_event;

    #[test]
    fn an_event_that_was_retracted_is_marked() {
        let event = test_event("ops", "2026-01-05T10:00:00Z".parse().unwrap());
        let mut entry = json!({"position": 1, "event": event, "taken_back_by": null});
        let plain = line(&entry, false, false).unwrap();
        entry["taken_back_by"] = "evt_a".into();
        assert_eq!(line(&entry, false, false).unwrap(), format!("{plain}  (retracted later)"));
        assert!(line(&entry, true, false).unwrap().starts_with('{'));
        assert!(line(&json!({"event": {}}), false, false).is_err());
    }
}
