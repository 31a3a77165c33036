//! `meetwatch reload`: makes the daemon read its configuration again.

use std::process::ExitCode;

use super::daemon_args::DaemonArgs;
use super::daemon_client::DaemonClient;
use super::output;
use super::output_args::OutputArgs;
use crate::model::text::for_terminal;

/// Make the daemon read its configuration again, as SIGHUP does
///
/// If the new configuration cannot be used, nothing changes, and all its problems are shown.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Asks for the reload and prints its warnings.
///
/// # Errors
/// Where no daemon runs, or it refuses the configuration.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let json = args.output.json()?;
    let answer = DaemonClient::new(&args.daemon)?.reload().await?;
    if json {
        output::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    for warning in answer["warnings"].as_array().into_iter().flatten().filter_map(|warning| warning.as_str()) {
        output::complain(format_args!("warning: {}", for_terminal(warning)));
    }
    output::line("the daemon runs with its configuration as it is now")?;
    Ok(ExitCode::SUCCESS)
}
