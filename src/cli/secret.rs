//! `meetwatch secret`: secrets that sign webhooks.

use std::process::ExitCode;

use anyhow::Context as _;

use super::output;
use crate::delivery::sign::SigningSecret;

/// The length of a new secret.
const SECRET_BYTES: usize = 32;

/// Create secrets for signing webhooks
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: SecretCommand,
}

#[derive(Debug, clap::Subcommand)]
enum SecretCommand {
    /// Print a new secret, for `secret` or `secret_file` in the configuration
    New,
}

/// Prints a new secret.
///
/// # Errors
/// If the system provides no random bytes, or the output cannot be written.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let SecretCommand::New = args.command;
    let mut bytes = vec![0; SECRET_BYTES];
    getrandom::fill(&mut bytes).context("the system provides no random bytes for a secret")?;
    output::line(SigningSecret::from_bytes(bytes)?.reveal())?;
    Ok(ExitCode::SUCCESS)
}
