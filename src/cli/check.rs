//! `meetwatch check`: is this configuration good?

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use super::output;
use crate::config::{self, Config, EXAMPLE, Environment};
use crate::meet::auth::inspect;
use crate::meet::settings::IdentitySettings;

/// What `check` can be told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration to check
    #[arg(long, value_name = "FILE", required_unless_present = "example")]
    config: Option<PathBuf>,

    /// Print an annotated configuration with every key there is, and check nothing
    #[arg(long, conflicts_with = "config")]
    example: bool,
}

/// Says that the configuration is good, with its warnings.
///
/// # Errors
/// All its [`Problems`](config::Problems) at once.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.example {
        output::line(EXAMPLE.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let path = args.config.as_ref().context("no configuration was named")?;
    let config = config::load(path, &Environment::read())?;
    for warning in &config.warnings {
        output::complain(format_args!("warning: {warning}"));
    }
    output::line(format_args!("{} is valid: {}", path.display(), summary(&config)))?;
    let ready = config.identities.iter().filter(|identity| is_ready(identity)).count();
    Ok(if ready == config.identities.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
