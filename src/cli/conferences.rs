//! `meetwatch conferences`: the conferences that the daemon watches now.

use std::process::ExitCode;

use serde_json::Value;

use super::daemon_args::DaemonArgs;
use super::daemon_client::DaemonClient;
use super::output;
use super::output_args::{OutputArgs, OutputFormat};
use super::table::{Column, counted};
use crate::model::TargetName;

const COLUMNS: [Column; 6] = [
    ("code", "/meeting_code"),
    ("present", "/present"),
    ("phase", "/phase"),
    ("start_time", "/start_time"),
    ("targets", "/targets"),
    ("name", "/name"),
];

/// List the watched conferences: live ones, and ended ones that are not read to the end yet
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// List only conferences of this target, or of all targets of this section of subjects
    #[arg(long, value_name = "NAME", value_parser = TargetName::parse)]
    target: Option<TargetName>,
}

/// Prints the list.
///
/// # Errors
/// Where no daemon runs, or no target has the name.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let query: Vec<_> = args.target.iter().map(|target| ("target", target.to_string())).collect();
    let answer = DaemonClient::new(&args.daemon)?.get(&["conferences"], &query).await?;
    let conferences = answer["conferences"].as_array().map(Vec::as_slice).unwrap_or_default();
    if args.output.format() != OutputFormat::Table || !conferences.is_empty() {
        output::list(&answer, "conferences", &COLUMNS, args.output.format())?;
    }
    if args.output.format() == OutputFormat::Table {
        output::line(summary(conferences))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn summary(conferences: &[Value]) -> String {
    let present = conferences.iter().filter_map(|conference| conference["present"].as_u64()).sum();
    let number = conferences.len() as u64;
    match number {
        0 => "no conference is watched now".to_owned(),
        _ => format!(
            "{}, {} present",
            counted(number, "conference", "conferences"),
            counted(present, "participant", "participants")
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_list_ends_with_how_many_there_are() {
        let of = |present: &[u64]| summary(&present.iter().map(|n| json!({ "present": n })).collect::<Vec<_>>());
        assert_eq!(of(&[]), "no conference is watched now");
        assert_eq!(of(&[1]), "1 conference, 1 participant present");
        assert_eq!(of(&[0, 12]), "2 conferences, 12 participants present");
    }
}
