//! `meetwatch conferences`: the conferences that the daemon watches now.

use std::process::ExitCode;

use super::daemon_client::{DaemonArgs, DaemonClient};
use super::output;
use super::table::Column;

const COLUMNS: [Column; 6] = [
    ("name", "/name"),
    ("code", "/meeting_code"),
    ("targets", "/targets"),
    ("phase", "/phase"),
    ("start_time", "/start_time"),
    ("present", "/present"),
];

/// List the watched conferences: live ones, and ended ones that are not read to the end yet
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
}

/// Prints the list.
///
/// # Errors
/// Where no daemon runs.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let answer = DaemonClient::new(&args.daemon)?.get(&["conferences"], &[]).await?;
    output::list(&answer, "conferences", &COLUMNS, args.daemon.json)?;
    Ok(ExitCode::SUCCESS)
}
