//! `meetwatch conferences`: what is watched right now.

use std::process::ExitCode;

use super::daemon::{Column, Daemon, Reach, show_list};

const COLUMNS: [Column; 6] = [
    ("name", "/name"),
    ("code", "/meeting_code"),
    ("targets", "/targets"),
    ("phase", "/phase"),
    ("start_time", "/start_time"),
    ("present", "/present"),
];

/// List the conferences that are live, or ended and read once more
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    reach: Reach,
}

/// Lists them.
///
/// # Errors
/// Where no daemon runs.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let answer = Daemon::of(&args.reach)?.get(&["conferences"], &[]).await?;
    show_list(&answer, "conferences", &COLUMNS, args.reach.json)?;
    Ok(ExitCode::SUCCESS)
}
