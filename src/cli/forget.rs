//! `meetwatch forget`: takes one person out of everything that is stored.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::daemon::{Daemon, Reach, cell, show_json};
use super::output;

/// Forget one person: what is stored, and what Google tells of them later
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    reach: Reach,
    /// users/…, conferenceRecords/…/participants/…, or the address of somebody who was looked up
    #[arg(value_name = "USER")]
    who: String,
    /// Do it: it cannot be taken back. Without this, only say what there is
    #[arg(long)]
    yes: bool,
}

/// Has the daemon forget somebody, or says what there is.
///
/// # Errors
/// Where no daemon runs, or it cannot tell who is meant.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let body = json!({ "who": args.who, "dry_run": !args.yes });
    let answer = Daemon::of(&args.reach)?.post(&["forget"], Some(body)).await?;
    if args.reach.json {
        show_json(&answer)?;
    } else {
        output::line(told(&answer))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn told(answer: &Value) -> String {
    let done = answer["forgotten"] == json!(true);
    let traces = format!("{} events in {} conferences", cell(&answer["events"]), cell(&answer["conferences"]));
    let mut text = if done {
        format!("forgotten, with {traces}; what Google tells later is stored and told without a name\n")
    } else {
        format!("there are {traces}; to forget the person for good, say --yes\n")
    };
    if answer["unfinished"] != json!(0) {
        let unfinished = cell(&answer["unfinished"]);
        text.push_str(&format!("in {unfinished} that are not closed Google's id stays stored until they are\n"));
    }
    text.push_str("what receivers, backups and logs of others have of the person is theirs to delete");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_was_done_what_stays_and_what_is_out_of_reach() {
        let answer = |forgotten, unfinished| {
            told(&json!({"forgotten": forgotten, "conferences": 3, "unfinished": unfinished, "events": 12}))
        };
        assert!(answer(true, 0).starts_with("forgotten, with 12 events in 3 conferences;"));
        assert!(answer(false, 0).contains("--yes") && !answer(false, 0).contains("not closed"));
        assert!(answer(true, 1).contains("in 1 that are not closed"));
        assert!(answer(true, 0).contains("receivers"));
    }
}
