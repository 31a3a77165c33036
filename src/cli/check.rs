//! `meetwatch check`: validates a configuration and, with `--online`, tries its identities, targets and webhooks.

mod endpoints;
mod identities;
mod offline;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::report::CheckReport;
use super::daemon_args::DEFAULT_CONFIG;
use super::table::counted;
use super::{EX_CONFIG, output};
use crate::config::{self, Config, EXAMPLE, Environment, Problem};
use crate::model::text::for_terminal;

/// How many identities or endpoints are checked at the same time.
const CONCURRENCY: usize = 16;

/// Check a configuration and report all its problems, each with its line
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("tried").args(["online", "test_endpoints"]).multiple(true))]
pub(super) struct Args {
    /// The configuration file to check [default: /etc/meetwatch/meetwatch.toml]
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,

    /// The same as FILE
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Print an annotated example configuration with every key, and check nothing
    #[arg(long, conflicts_with_all = ["file", "config", "online", "test_endpoints", "json"])]
    example: bool,

    /// Also ask Google whether each identity gets its tokens and can see its targets, as organizer or as participant
    #[arg(long)]
    pub(super) online: bool,

    /// Also send each webhook a signed `webhook.test` event
    #[arg(long)]
    pub(super) test_endpoints: bool,

    /// Print the results of --online and --test-endpoints as JSON
    #[arg(long, requires = "tried")]
    json: bool,
}

/// Checks the configuration and prints the result, with its warnings. Anything that does not work is a failure.
///
/// # Errors
/// All [`Problems`](config::Problems) of the configuration.
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.example {
        output::line(EXAMPLE.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let path = args.file.as_deref().or(args.config.as_deref()).unwrap_or(Path::new(DEFAULT_CONFIG));
    let config = config::load(path, &Environment::read())?;
    let (refused, warnings): (Vec<_>, Vec<_>) = config.warnings.iter().partition(|warning| is_refused(warning));
    for warning in warnings {
        output::complain(format_args!("warning: {warning}"));
    }
    if !refused.is_empty() {
        refused.into_iter().for_each(output::complain);
        return Ok(ExitCode::from(EX_CONFIG));
    }
    let is_ready = args.online || offline::check(&config);
    let is_tried = args.online || args.test_endpoints;
    if is_ready && !args.json {
        output::line(format_args!("{} is valid: {}", path.display(), summary(&config)))?;
    }
    let ok = is_ready && (!is_tried || try_out(args, &config).await?);
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns whether `run` would refuse a configuration because of this warning: it could not make its store.
fn is_refused(warning: &Problem) -> bool {
    warning.key == "store.path" && warning.is_about_a_missing_file()
}

/// Tries what was asked for and prints the report. Returns whether everything succeeded.
async fn try_out(args: &Args, config: &Config) -> anyhow::Result<bool> {
    let (identities, targets) = if args.online { identities::check(config).await? } else { (Vec::new(), Vec::new()) };
    let endpoints = endpoints::check(&config.webhooks, args.test_endpoints).await?;
    let report = CheckReport::new(identities, targets, endpoints);
    if args.json {
        output::json(&report)?;
    } else {
        for line in report.lines() {
            output::line(for_terminal(&line))?;
        }
    }
    Ok(report.ok)
}

fn summary(config: &Config) -> String {
    let identities = counted(config.identities.len() as u64, "identity", "identities");
    let targets = counted(config.targets.len() as u64, "target", "targets");
    let webhooks = counted(config.webhooks.len() as u64, "webhook", "webhooks");
    format!("{identities}, {targets}, {webhooks}")
}
