//! `meetwatch endpoints`: how each fares; switching, trying and forgetting one.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::daemon::{Column, Daemon, Reach, cell, show_json, show_list};
use super::output;
use crate::model::EndpointName;
use crate::model::text::for_terminal;

const COLUMNS: [Column; 9] = [
    ("name", "/name"),
    ("format", "/format"),
    ("address", "/address"),
    ("state", "/state"),
    ("pending", "/pending"),
    ("oldest_pending", "/oldest_pending"),
    ("dead", "/dead"),
    ("last_day", "/last_day/arrived"),
    ("success", "/success"),
];

/// Show how each webhook fares; switch, try or forget one
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    reach: Reach,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Switch an endpoint on
    Enable {
        #[arg(value_parser = EndpointName::parse)]
        name: EndpointName,
        /// Send what it is owed, or begin with what happens from now on
        #[arg(long, default_value = "backlog", value_parser = ["backlog", "now"])]
        from: String,
    },
    /// Switch an endpoint off; what it is owed stays owed
    Disable {
        #[arg(value_parser = EndpointName::parse)]
        name: EndpointName,
    },
    /// Send a signed `webhook.test` and show what came back
    Test {
        #[arg(value_parser = EndpointName::parse)]
        name: EndpointName,
    },
    /// Delete an endpoint that the configuration names no more, with all it was ever owed
    Remove {
        #[arg(value_parser = EndpointName::parse)]
        name: EndpointName,
    },
}

/// Does what was asked. A test that did not arrive is a failure.
///
/// # Errors
/// Where no daemon runs, or it says no.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let daemon = Daemon::of(&args.reach)?;
    let json = args.reach.json;
    let path = |name: &EndpointName, verb: &str| ["endpoints".to_owned(), name.to_string(), verb.to_owned()];
    let post = async |name: &EndpointName, verb: &str, body: Option<Value>| {
        let path = path(name, verb);
        daemon.post(&path.each_ref().map(String::as_str), body).await
    };
    let (answer, told) = match &args.what {
        None => {
            let mut answer = daemon.get(&["endpoints"], &[]).await?;
            for row in answer["endpoints"].as_array_mut().into_iter().flatten().filter(|_| !json) {
                sum_up(row);
            }
            show_list(&answer, "endpoints", &COLUMNS, json)?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(What::Enable { name, from }) => {
            let answer = post(name, "enable", Some(json!({ "from": from }))).await?;
            let skipped = answer["skipped"].as_u64().filter(|skipped| *skipped > 0);
            let skipped = skipped.map(|skipped| format!("; {skipped} deliveries are not sent any more"));
            (answer, format!("{name} is on{}", skipped.unwrap_or_default()))
        }
        Some(What::Disable { name }) => {
            (post(name, "disable", None).await?, format!("{name} is off; what it is owed stays owed"))
        }
        Some(What::Test { name }) => {
            let answer = post(name, "test", None).await?;
            let told = tested(name, &answer);
            (answer, told)
        }
        Some(What::Remove { name }) => {
            let answer = daemon.delete(&["endpoints", name.as_str()]).await?;
            let told = format!("{name} is forgotten, with {} deliveries", cell(&answer["deleted"]));
            (answer, told)
        }
    };
    if json {
        show_json(&answer)?;
    } else {
        output::line(told)?;
    }
    let failed = answer["delivered"] == json!(false);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Puts what a table shows of an endpoint into few words.
fn sum_up(row: &mut Value) {
    let state = match (&row["enabled"], &row["orphaned"], row["breaker"].as_str()) {
        (_, Value::Bool(true), _) => "orphaned".to_owned(),
        (Value::Bool(false), ..) => format!("off ({})", cell(&row["reason"])),
        (_, _, Some("open")) => "in trouble".to_owned(),
        (_, _, Some("draining")) => "draining".to_owned(),
        _ => "on".to_owned(),
    };
    row["state"] = state.into();
    let rate = row["last_day"]["success_rate"].as_f64();
    row["success"] = rate.map(|rate| format!("{:.1} %", rate * 100.0)).into();
}

fn tested(name: &EndpointName, answer: &Value) -> String {
    let status = answer["status"].as_u64().map_or_else(|| "no answer".to_owned(), |status| format!("status {status}"));
    let seconds = answer["seconds"].as_f64().unwrap_or_default();
    let verdict = match answer["reason"].as_str() {
        None => format!("{name} took the test: {status} after {seconds:.3} s"),
        Some(reason) => format!("{name} did not take the test: {reason}, {status} after {seconds:.3} s"),
    };
    match answer["answer"].as_str() {
        None => verdict,
        Some(said) => format!("{verdict}\nit said: {}", for_terminal(said)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_one_word_that_says_the_worst() {
        let state = |mut row: Value| {
            sum_up(&mut row);
            (row["state"].as_str().unwrap().to_owned(), row["success"].clone())
        };
        let row = json!({"enabled": true, "orphaned": false, "breaker": "open", "last_day": {"success_rate": 0.5}});
        assert_eq!(state(row), ("in trouble".to_owned(), json!("50.0 %")));
        let row = json!({"enabled": false, "orphaned": false, "breaker": "closed", "reason": "gone"});
        assert_eq!(state(row), ("off (gone)".to_owned(), Value::Null));
        let row = json!({"enabled": true, "orphaned": true, "breaker": "closed"});
        assert_eq!(state(row).0, "orphaned");
    }

    #[test]
    fn what_a_receiver_said_to_a_test_does_not_act() {
        let name = EndpointName::parse("ops").unwrap();
        let told =
            tested(&name, &json!({"status": 500, "reason": "server_error", "seconds": 0.25, "answer": "\u{7}no"}));
        assert_eq!(told, "ops did not take the test: server_error, status 500 after 0.250 s\nit said: \\u{7}no");
    }
}
