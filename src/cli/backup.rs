//! `meetwatch backup`: copies the store, whether or not a daemon runs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use super::output;
use super::progress::Progress;
use crate::config::{self, Environment};
use crate::delivery::pseudonym_key;
use crate::store::{Backup, UNFINISHED_BACKUP, back_up};

/// How often the size of the copy is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

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
pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let store = config::load_store(&args.config, &Environment::read())?.path;
    let made = copy(&store, &args.to).await?;
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

/// Copies the store, and shows meanwhile how much of it is written.
async fn copy(store: &Path, to: &Path) -> anyhow::Result<Backup> {
    let size = store.metadata().map_or(0, |store| store.len());
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let before = unfinished(&folder);
    let (from, target) = (store.to_owned(), to.to_owned());
    let mut copying = tokio::task::spawn_blocking(move || back_up(&from, &target));
    let progress = Progress::of_bytes("copying the store", size);
    loop {
        tokio::select! {
            made = &mut copying => return Ok(made.context("the copy panicked")??),
            () = tokio::time::sleep(LOOK_EVERY), if progress.is_shown() => {
                // A copy that a crash left behind counted before, too.
                progress.at(unfinished(&folder).saturating_sub(before));
            }
        }
    }
}

/// Returns the size of the unfinished copies in a folder.
fn unfinished(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let copies = files.filter(|file| file.file_name().to_string_lossy().starts_with(UNFINISHED_BACKUP));
    copies.filter_map(|copy| Some(copy.metadata().ok()?.len())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unfinished_copies_count_for_the_progress() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("m.db"), "store").unwrap();
        assert_eq!(unfinished(folder.path()), 0);
        std::fs::write(folder.path().join(format!("{UNFINISHED_BACKUP}a1")), "copy").unwrap();
        assert_eq!(unfinished(folder.path()), 4);
        assert_eq!(unfinished(Path::new("/nonexistent")), 0);
    }
}
