//! The small sections: `[watch]`, `[store]` and `[log]`.

use std::time::Duration;

use super::files::ReferencedFiles;
use super::section::Section;
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
    let path = files.path(section, "path").map_or(default.path, |found| found.value);
    StoreSettings {
        path: without_links(&path).into_owned(),
        retention: section.duration("retention", default.retention, HOUR..=3650 * DAY),
    }
}

pub(super) fn log(section: &Section<'_>) -> LogSettings {
    let levels = LogSettings::LEVELS;
    let level = section.parsed("level", suggest::list(&levels), LogSettings::parse_level);
    let formats = [LogFormat::Text, LogFormat::Json];
    let format = section
        .parsed("format", "\"text\" or \"json\"", |text| formats.into_iter().find(|format| format.as_str() == text));
    LogSettings { level: level.map(|found| found.value), format: format.map(|found| found.value) }
}
