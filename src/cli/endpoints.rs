//! `meetwatch endpoints`: the state of the endpoints; enabling, disabling, testing and removing one.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::confirm::{self, ConfirmArgs, Unasked};
use super::daemon_args::DaemonArgs;
use super::daemon_client::DaemonClient;
use super::output;
use super::output_args::{OutputArgs, OutputFormat};
use super::table::{Column, cell, counted};
use crate::model::EndpointName;
use crate::model::text::for_terminal;

const COLUMNS: [Column; 9] = [
    ("name", "/name"),
    ("state", "/state"),
    ("pending", "/pending"),
    ("oldest_pending", "/oldest_pending"),
    ("dead", "/dead"),
    ("last_day", "/last_day/arrived"),
    ("success", "/success"),
    ("format", "/format"),
    ("address", "/address"),
];

/// Show the state of every endpoint; enable, disable, test or remove one
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    command: Option<EndpointsCommand>,
}

#[derive(Debug, clap::Subcommand)]
enum EndpointsCommand {
    /// Enable an endpoint
    Enable {
        /// The name of the endpoint in the configuration
        #[arg(value_parser = EndpointName::parse)]
        name: EndpointName,
        /// Where to start: with the deliveries that are pending (backlog), or with events from now on (now)
        #[arg(long, default_value = "backlog", value_parser = ["backlog", "now"])]
        from: String,
    },
    /// Disable an endpoint; its pending deliveries are kept
    Disable {
        /// The name of the endpoint in the configuration
        #[arg(value_parser = EndpointName::parse)]
        name: EndpointName,
    },
    /// Send a signed `webhook.test` event and show the answer
    Test {
        /// The name of the endpoint in the configuration
        #[arg(value_parser = EndpointName::parse)]
        name: EndpointName,
    },
    /// Delete an endpoint that is no longer in the configuration, with all its deliveries
    Remove {
        /// The name that the endpoint had in the configuration
        #[arg(value_parser = EndpointName::parse)]
        name: EndpointName,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
}

/// Runs the command. A test event that the endpoint does not accept is a failure.
///
/// # Errors
/// Where no daemon runs, or it refuses the request.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let daemon = DaemonClient::new(&args.daemon)?;
    let format = args.output.format();
    let json = match &args.command {
        None => format == OutputFormat::Json,
        Some(_) => args.output.json()?,
    };
    let path = |name: &EndpointName, verb: &str| ["endpoints".to_owned(), name.to_string(), verb.to_owned()];
    let post = async |name: &EndpointName, verb: &str, body: Option<Value>| {
        let path = path(name, verb);
        daemon.post(&path.each_ref().map(String::as_str), body).await
    };
    let (answer, message) = match &args.command {
        None => {
            let mut answer = daemon.get(&["endpoints"], &[]).await?;
            for row in answer["endpoints"].as_array_mut().into_iter().flatten().filter(|_| !json) {
                summarize(row);
            }
            output::list(&answer, "endpoints", &COLUMNS, format)?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(EndpointsCommand::Enable { name, from }) => {
            let answer = post(name, "enable", Some(json!({ "from": from }))).await?;
            let skipped = answer["skipped"].as_u64().filter(|skipped| *skipped > 0);
            let skipped = skipped.map(|skipped| {
                let (singular, plural) = ("pending delivery is skipped", "pending deliveries are skipped");
                format!("; {}", counted(skipped, singular, plural))
            });
            (answer, format!("{name} is on{}", skipped.unwrap_or_default()))
        }
        Some(EndpointsCommand::Disable { name }) => {
            (post(name, "disable", None).await?, format!("{name} is off; its pending deliveries are kept"))
        }
        Some(EndpointsCommand::Test { name }) => {
            let answer = post(name, "test", None).await?;
            let message = test_result(name, &answer);
            (answer, message)
        }
        Some(EndpointsCommand::Remove { name, confirm }) => {
            let endpoints = daemon.get(&["endpoints"], &[]).await?;
            let what = confirm::of_a_removal(&endpoints, name.as_str());
            // Where there is nothing to remove, the daemon says why, but for a dry run.
            let what = what
                .or_else(|| confirm.dry_run.then(|| format!("{name} cannot be removed: it is configured or unknown")));
            if let Some(what) = what
                && let Some(code) = confirm.ends_here(&what, Unasked::Refuse)?
            {
                return Ok(code);
            }
            let answer = daemon.delete(&["endpoints", name.as_str()]).await?;
            let deleted = answer["deleted"].as_u64().unwrap_or_default();
            let message = format!("{name} was removed, with {}", counted(deleted, "delivery", "deliveries"));
            (answer, message)
        }
    };
    if json {
        output::json(&answer)?;
    } else {
        output::line(message)?;
    }
    let failed = answer["delivered"] == json!(false);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Adds the cells `state` and `success` to an endpoint's row.
fn summarize(row: &mut Value) {
    let state = match (&row["enabled"], &row["orphaned"], row["breaker"].as_str()) {
        (_, Value::Bool(true), _) => "orphaned".to_owned(),
        (Value::Bool(false), ..) => format!("off ({})", cell(&row["reason"])),
        (_, _, Some("open")) => "in trouble".to_owned(),
        (_, _, Some("draining")) => "draining".to_owned(),
        _ => row["limited_per_second"].as_f64().map_or_else(|| "on".to_owned(), limited),
    };
    row["state"] = state.into();
    let rate = row["last_day"]["success_rate"].as_f64();
    row["success"] = rate.map(|rate| format!("{:.1} %", rate * 100.0)).into();
}

/// Returns the state of an endpoint that takes so many deliveries a second.
fn limited(per_second: f64) -> String {
    if per_second >= 1.0 {
        format!("limited ({per_second:.1}/s)")
    } else {
        format!("limited ({:.1}/m)", per_second * 60.0)
    }
}

/// Returns the result of a test event as text.
fn test_result(name: &EndpointName, answer: &Value) -> String {
    let status = answer["status"].as_u64().map_or_else(|| "no answer".to_owned(), |status| format!("status {status}"));
    let seconds = answer["seconds"].as_f64().unwrap_or_default();
    let result = match answer["reason"].as_str() {
        None => format!("{name} accepted the test event: {status} after {seconds:.3} s"),
        Some(reason) => format!("{name} did not accept the test event: {reason}, {status} after {seconds:.3} s"),
    };
    match answer["answer"].as_str() {
        None => result,
        Some(body) => format!("{result}\nits answer: {}", for_terminal(body)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_the_most_serious_one() {
        let state = |mut row: Value| {
            summarize(&mut row);
            (row["state"].as_str().unwrap().to_owned(), row["success"].clone())
        };
        let row = json!({"enabled": true, "orphaned": false, "breaker": "open", "last_day": {"success_rate": 0.5}});
        assert_eq!(state(row), ("in trouble".to_owned(), json!("50.0 %")));
        let row = json!({"enabled": false, "orphaned": false, "breaker": "closed", "reason": "gone"});
        assert_eq!(state(row), ("off (gone)".to_owned(), Value::Null));
        for (per_second, shown) in [(1.04, "limited (1.0/s)"), (0.25, "limited (15.0/m)")] {
            let row =
                json!({"enabled": true, "orphaned": false, "breaker": "closed", "limited_per_second": per_second});
            assert_eq!(state(row).0, shown);
        }
        let row = json!({"enabled": true, "orphaned": true, "breaker": "closed"});
        assert_eq!(state(row).0, "orphaned");
    }

    #[test]
    fn control_characters_of_a_receivers_answer_are_escaped() {
        let name = EndpointName::parse("ops").unwrap();
        let result =
            test_result(&name, &json!({"status": 500, "reason": "server_error", "seconds": 0.25, "answer": "\u{7}no"}));
        assert_eq!(
            result,
            "ops did not accept the test event: server_error, status 500 after 0.250 s\nits answer: \\u{7}no"
        );
    }
}
