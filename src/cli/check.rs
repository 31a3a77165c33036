//! `meetwatch check`: is this configuration good, and, with `--online`, does Google agree?

mod online;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use super::output;
use crate::config::{self, Config, EXAMPLE, Environment};
use crate::meet::auth::inspect;
use crate::meet::settings::IdentitySettings;
use crate::model::text::for_terminal;

/// What `check` can be told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration to check
    #[arg(long, value_name = "FILE", required_unless_present = "example")]
    config: Option<PathBuf>,

    /// Print an annotated configuration with every key there is, and check nothing
    #[arg(long, conflicts_with_all = ["config", "online"])]
    example: bool,

    /// Ask Google: whether each identity gets its tokens, and whether each target can be seen, and as whom
    #[arg(long)]
    pub(super) online: bool,

    /// Send each webhook a signed `webhook.test`, too
    #[arg(long, requires = "online")]
    test_endpoints: bool,

    /// JSON for programs, in place of lines for people
    #[arg(long, requires = "online")]
    json: bool,
}

/// Says that the configuration is good, with its warnings, and how it fares online where that was asked for. Something
/// that does not work is a failure.
///
/// # Errors
/// All its [`Problems`](config::Problems) at once.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.example {
        output::line(EXAMPLE.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let path = args.config.as_ref().context("no configuration was named")?;
    let config = config::load(path, &Environment::read())?;
    for warning in &config.warnings {
        output::complain(format_args!("warning: {warning}"));
    }
    if !args.json {
        output::line(format_args!("{} is valid: {}", path.display(), summary(&config)))?;
    }
    let well = if args.online {
        check_online(args, &config).await?
    } else {
        config.identities.iter().filter(|identity| !is_ready(identity)).count() == 0
    };
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what came of asking, and says whether all is well.
async fn check_online(args: &Args, config: &Config) -> anyhow::Result<bool> {
    let report = online::ask(config, args.test_endpoints).await?;
    if args.json {
        output::line(serde_json::to_string_pretty(&report)?)?;
    } else {
        for line in report.lines() {
            output::line(for_terminal(&line))?;
        }
    }
    Ok(report.ok)
}

/// Whether an identity's files could give a token, as far as that can be seen without asking anybody. Says what not.
fn is_ready(identity: &IdentitySettings) -> bool {
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
    let counted = |number: usize, one: &str, many: &str| match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    };
    format!(
        "{}, {}, {}",
        counted(config.identities.len(), "identity", "identities"),
        counted(config.targets.len(), "target", "targets"),
        counted(config.webhooks.len(), "webhook", "webhooks"),
    )
}
