//! `meetwatch backup`: copies the store, whether or not a daemon runs.

use std::path::PathBuf;
use std::process::ExitCode;

use super::output;
use crate::config::{self, Environment};
use crate::delivery::pseudonym_key;
use crate::store::back_up;

/// Copy the store to a new file; works while the daemon runs
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file of the daemon; only its [store] section is read
    #[arg(long, value_name = "FILE", default_value = "/etc/meetwatch/meetwatch.toml")]
    config: PathBuf,
    /// The file to create; an existing file is not overwritten
    #[arg(value_name = "FILE")]
    to: PathBuf,
}

/// Makes the copy and prints the position of its last event.
///
/// # Errors
/// Where the configuration's `[store]` section is invalid, or [`crate::store::BackupError`].
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let store = config::load_store(&args.config, &Environment::read())?.path;
    let made = back_up(&store, &args.to)?;
    let (to, bytes) = (args.to.display(), made.bytes);
    output::line(format_args!("{to} holds the store up to event {}, {bytes} bytes", made.position))?;
    let key = pseudonym_key::path_beside(&store);
    if key.try_exists().unwrap_or(false) {
        output::line(format_args!(
            "keep {} with it: without this key, every person gets another pseudonym",
            key.display()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
