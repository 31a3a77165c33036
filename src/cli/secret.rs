//! `meetwatch secret`: signing secrets.

use std::process::ExitCode;

use anyhow::Context as _;

use super::output;
use crate::delivery::sign::SigningSecret;

/// How many random bytes a new secret has.
const BYTES: usize = 32;

/// Make signing secrets
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Print a new one, such as for the file that `secret_file` names
    New,
}

/// Prints a new secret.
///
/// # Errors
/// If this machine gives no random bytes, or nobody reads them.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let What::New = args.what;
    let mut bytes = vec![0; BYTES];
    getrandom::fill(&mut bytes).context("this machine gives no random bytes to make a secret of")?;
    output::line(SigningSecret::from_bytes(bytes)?.reveal())?;
    Ok(ExitCode::SUCCESS)
}
