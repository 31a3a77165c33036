//! Reading the configuration file for a reload.

use std::time::SystemTime;

use crate::config::{self, Config, ConfigFile, Problem};
use crate::serve::NotReloaded;

/// Reads the configuration file and the files that it names. Blocks on file IO.
///
/// # Errors
/// Where the configuration is invalid, where the file changes while it is read, or where a file that it names is missing.
/// A start tolerates some missing files, because they may still appear; a reload would replace a configuration that works.
pub(super) fn read(source: &ConfigFile) -> Result<Config, NotReloaded> {
    let version = || {
        let metadata = std::fs::metadata(&source.path).ok()?;
        let changed: Option<SystemTime> = metadata.modified().ok();
        Some((metadata.len(), changed))
    };
    let before = version();
    let config = config::load(&source.path, &source.environment)
        .map_err(|problems| NotReloaded::Refused(in_one_line(problems.as_slice().iter())))?;
    if version() != before {
        return Err(NotReloaded::Refused(
            "the file was changed while it was read; reload again when it is complete; nothing was changed".into(),
        ));
    }
    match in_one_line(config.missing_files()) {
        missing if missing.is_empty() => Ok(config),
        missing => Err(NotReloaded::Refused(missing)),
    }
}

fn in_one_line<'p>(problems: impl Iterator<Item = &'p Problem>) -> String {
    problems.map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
