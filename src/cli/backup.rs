//! `meetwatch backup`: a copy of the store, whether a daemon runs or not.

use std::path::PathBuf;
use std::process::ExitCode;

use super::output;
use crate::config::{self, Environment};
use crate::delivery::pseudonym_key;
use crate::store::back_up;

/// Copy the store to a new file, also while the daemon runs
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration that the daemon runs with; only what it says of the store is read
    #[arg(long, value_name = "FILE", default_value = "/etc/meetwatch/meetwatch.toml")]
    config: PathBuf,
    /// The file to make; one that is there is not overwritten
    #[arg(value_name = "FILE")]
    to: PathBuf,
}

/// Makes the copy and says how far it reaches.
///
/// # Errors
/// Where the configuration does not say where the store is, or [`crate::store::BackupError`].
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let store = config::load_store(&args.config, &Environment::read())?.path;
    let made = back_up(&store, &args.to)?;
    let (to, bytes) = (args.to.display(), made.bytes);
    output::line(format_args!("{to} holds the store up to event {}, {bytes} bytes", made.position))?;
    let key = pseudonym_key::path_beside(&store);
    if key.try_exists().unwrap_or(false) {
        output::line(format_args!(
            "keep {} with it: without that key everybody gets another pseudonym",
            key.display()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
