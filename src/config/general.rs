//! The small sections: `[watch]`, `[store]` and `[log]`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::ReferencedFiles;
use super::section::{Located, Section};
use super::suggest;
use crate::log::{LogFormat, LogSettings};
use crate::store::StoreSettings;
use crate::store::settings::without_links;
use crate::watch::WatchSettings;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn watch(section: &Section<'_>) -> WatchSettings {
    let default = WatchSettings::default();
    WatchSettings {
        session_sweep: section.duration("session_sweep", default.session_sweep, SECOND..=HOUR),
        backfill: section.duration("backfill", default.backfill, SECOND..=HOUR),
        discovery: section.duration("discovery", default.discovery, SECOND..=HOUR),
        leave_grace: section.duration("leave_grace", default.leave_grace, SECOND..=DAY),
        final_read: section.duration("final_read", default.final_read, SECOND..=7 * DAY),
        lookup_wait: section.duration("lookup_wait", default.lookup_wait, Duration::ZERO..=60 * SECOND),
    }
}

pub(super) fn store(section: &Section<'_>, files: &ReferencedFiles<'_>) -> StoreSettings {
    let default = StoreSettings::default();
    let path = files.path(section, "path");
    if let Some(path) = &path {
        store_path(path, &default.path);
    }
    let path = path.map_or(default.path, |found| found.value);
    StoreSettings {
        path: without_links(&path).into_owned(),
        retention: section.duration("retention", default.retention, HOUR..=3650 * DAY),
    }
}

/// Says what keeps a store from being made. These are warnings, because only `run` and `check` need a store that can be made.
fn store_path(path: &Located<'_, PathBuf>, default: &Path) {
    let folder = path.value.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.value.is_dir() {
        path.not_there("is a folder; add the name of the store's file, such as `meetwatch.db`");
    } else if let Err(error) = std::fs::metadata(folder) {
        match error.kind() {
            // The systemd unit makes its folder when it starts.
            ErrorKind::NotFound if path.value == default => path.warning(
                "the folder does not exist; the systemd unit makes it at its start, and everybody else has to",
            ),
            ErrorKind::NotFound => path.not_there("the folder does not exist; create it or correct the path"),
            ErrorKind::NotADirectory => path.not_there("has a file where a folder is needed; correct the path"),
            // Perhaps the user that runs the daemon can see it.
            _ => {}
        }
    } else if !folder.is_dir() {
        path.not_there("has a file where a folder is needed; correct the path");
    }
}

pub(super) fn log(section: &Section<'_>) -> LogSettings {
    let levels = LogSettings::LEVELS;
    let level = section.text("level").and_then(|text| {
        let level = LogSettings::parse_level(text.value);
        if level.is_none() {
            text.problem(suggest::one_of(text.value, &levels));
        }
        level
    });
    let formats = [LogFormat::Text, LogFormat::Json];
    let format = section
        .parsed("format", "\"text\" or \"json\"", |text| formats.into_iter().find(|format| format.as_str() == text));
    LogSettings { level, format: format.map(|found| found.value) }
}
