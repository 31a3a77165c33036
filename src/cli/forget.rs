//! `meetwatch forget`: deletes one person's data from the store.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::confirm;
use super::daemon_args::DaemonArgs;
use super::daemon_client::DaemonClient;
use super::output;
use super::output_args::OutputArgs;
use super::table::counted;

/// Delete one person's data from the store, and keep it out from now on
///
/// Without --yes, only shows how much there is. Events are kept, without the person's name, address and account.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// The person: users/…, conferenceRecords/…/participants/…, or an e-mail address that was looked up
    #[arg(value_name = "WHO")]
    who: String,
    /// Delete the data; this cannot be undone
    #[arg(long)]
    yes: bool,
    /// Only show how much there is, and do not ask
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

/// Makes the daemon forget a person, or prints what it would delete.
///
/// # Errors
/// Where no daemon runs, or it knows no such person.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let as_json = args.output.json()?;
    let daemon = DaemonClient::new(&args.daemon)?;
    let forget =
        async |dry_run: bool| daemon.post(&["forget"], Some(json!({ "who": args.who, "dry_run": dry_run }))).await;
    let mut answer = forget(!args.yes).await?;
    if !args.yes && !args.dry_run && !as_json && confirm::can_ask() {
        output::line(summary(&answer))?;
        if !confirm::asked("This person is forgotten for good")? {
            output::complain("nothing was changed");
            return Ok(ExitCode::FAILURE);
        }
        answer = forget(false).await?;
    }
    if as_json {
        output::json(&answer)?;
    } else {
        output::line(summary(&answer))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn summary(answer: &Value) -> String {
    let done = answer["forgotten"] == json!(true);
    let number = |key: &str| answer[key].as_u64().unwrap_or_default();
    let traces = format!(
        "{} in {}",
        counted(number("events"), "event", "events"),
        counted(number("conferences"), "conference", "conferences")
    );
    let mut text = if done {
        format!("forgotten: {traces}; later events of this person are stored and sent without a name\n")
    } else {
        format!("found {traces}; nothing was deleted; to forget this person for good, add --yes\n")
    };
    let unfinished = number("unfinished");
    if unfinished > 0 {
        let conferences = counted(unfinished, "conference", "conferences");
        text.push_str(&format!("{conferences} not finished yet: Google's id of the person is stored until the end\n"));
    }
    text.push_str("copies in receivers, backups and other logs are not deleted; delete them there");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_what_was_deleted_what_stays_and_what_is_out_of_reach() {
        let answer = |forgotten, unfinished| {
            summary(&json!({"forgotten": forgotten, "conferences": 3, "unfinished": unfinished, "events": 12}))
        };
        assert!(answer(true, 0).starts_with("forgotten: 12 events in 3 conferences;"));
        assert!(answer(false, 0).contains("--yes") && !answer(false, 0).contains("not finished"));
        assert!(answer(true, 1).contains("1 conference not finished yet"));
        assert!(answer(true, 0).contains("receivers"));
    }
}
