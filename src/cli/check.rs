//! `meetwatch check`: validates a configuration and, with `--online`, tries its identities, targets and webhooks.

mod endpoints;
mod identities;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use self::report::CheckReport;
use super::output;
use super::table::counted;
use crate::config::{self, Config, EXAMPLE, Environment};
use crate::meet::auth::inspect;
use crate::meet::settings::IdentitySettings;
use crate::model::text::for_terminal;

/// How many identities or endpoints are checked at the same time.
const CONCURRENCY: usize = 16;

/// Check a configuration and report all its problems, each with its line
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file to check
    #[arg(long, value_name = "FILE", required_unless_present = "example")]
    config: Option<PathBuf>,

    /// Print an annotated example configuration with every key, and check nothing
    #[arg(long, conflicts_with_all = ["config", "online"])]
    example: bool,

    /// Also ask Google whether each identity gets its tokens and can see its targets, as organizer or as participant
    #[arg(long)]
    pub(super) online: bool,

    /// Also send each webhook a signed `webhook.test` event
    #[arg(long, requires = "online")]
    test_endpoints: bool,

    /// Print JSON instead of text
    #[arg(long, requires = "online")]
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
    let path = args.config.as_ref().context("--config is required")?;
    let config = config::load(path, &Environment::read())?;
    for warning in &config.warnings {
        output::complain(format_args!("warning: {warning}"));
    }
    if !args.json {
        output::line(format_args!("{} is valid: {}", path.display(), summary(&config)))?;
    }
    let ok = if args.online {
        check_online(args, &config).await?
    } else {
        config.identities.iter().filter(|identity| !check_credentials(identity)).count() == 0
    };
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the online checks and prints their report. Returns whether all of them succeeded.
async fn check_online(args: &Args, config: &Config) -> anyhow::Result<bool> {
    let (identities, targets) = identities::check(config).await?;
    let endpoints = endpoints::check(&config.webhooks, args.test_endpoints).await?;
    let report = CheckReport::new(identities, targets, endpoints);
    if args.json {
        output::line(serde_json::to_string_pretty(&report)?)?;
    } else {
        for line in report.lines() {
            output::line(for_terminal(&line))?;
        }
    }
    Ok(report.ok)
}

/// Checks an identity's credential files without network access, and prints their problems. Returns whether there are none
/// that would keep the identity from getting a token.
fn check_credentials(identity: &IdentitySettings) -> bool {
    let inspection = inspect(&identity.credentials);
    for (file, warning) in &inspection.warnings {
        output::complain(format_args!("warning: identity {}: {}: {warning}", identity.name, file.display()));
    }
    if let Some(problem) = &inspection.problem {
        output::complain(format_args!(
            "identity {}: {} ({}); {}",
            identity.name, problem.detail, problem.reason, problem.remedy
        ));
    }
    inspection.problem.is_none()
}

fn summary(config: &Config) -> String {
    let identities = counted(config.identities.len() as u64, "identity", "identities");
    let targets = counted(config.targets.len() as u64, "target", "targets");
    let webhooks = counted(config.webhooks.len() as u64, "webhook", "webhooks");
    format!("{identities}, {targets}, {webhooks}")
}
