//! The log of the program, written to standard error: one line for each event that an operator can act on.
//!
//! The lines are written beside the work (`queue`), so that nothing stands still while nobody reads standard error.
//!
//! Only lines of this crate follow the configured level. Libraries are limited to `warn` at any level, because some print
//! tokens and addresses at their debug levels. Lines of libraries that use the `log` crate are dropped, because no logger
//! is installed for it.

mod queue;

use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

use prometheus::IntCounter;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt, reload};

pub use queue::{LineQueue, LineWriter};

/// `[log]`. [`install`] chooses what is not set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogSettings {
    /// The lowest level that is written; `info` if not set.
    pub level: Option<LevelFilter>,
    /// If not set: text on a terminal, JSON otherwise.
    pub format: Option<LogFormat>,
}

/// The format of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// The name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl LogSettings {
    /// The names of the levels, the most severe first.
    pub const LEVELS: [&'static str; 5] = ["error", "warn", "info", "debug", "trace"];

    /// Parses the name of a level. `None` if it is not in [`Self::LEVELS`].
    #[must_use]
    pub fn parse_level(name: &str) -> Option<LevelFilter> {
        Self::LEVELS.contains(&name).then(|| name.parse().ok()).flatten()
    }
}

/// How long the queued lines may take to be written when the log is closed.
const FLUSH_BOUND: Duration = Duration::from_secs(1);

/// Why the log cannot be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error("the thread that writes the log cannot be started")]
    Thread(#[from] std::io::Error),
    #[error("the log is installed already")]
    Installed(#[from] SetGlobalDefaultError),
    #[error("the metric of dropped log lines cannot be made")]
    Metric(#[from] prometheus::Error),
}

/// The installed log. Dropping it waits a moment for the queued lines to be written.
#[derive(Debug)]
pub struct Log {
    pub level: Level,
    pub queue: LineQueue,
}

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.flush(FLUSH_BOUND);
    }
}

/// Installs the subscriber that writes this process's log to standard error. To be called once, by a command.
///
/// # Errors
/// [`InstallError`]
pub fn install(settings: LogSettings, colours: bool) -> Result<Log, InstallError> {
    let terminal = stderr().is_terminal();
    let format = settings.format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let level = settings.level.unwrap_or(DEFAULT_LEVEL);
    let queue = LineQueue::start(lines_dropped()?, stderr(), report_dropped)?;
    // Not `init`, which would listen to the `log` crate too if some library turned that feature on.
    let (subscriber, level) = subscriber(level, format, terminal && colours, queue.clone());
    tracing::subscriber::set_global_default(subscriber)?;
    Ok(Log { level, queue })
}

/// Returns a new `meetwatch_log_lines_dropped_total`.
///
/// # Errors
/// If the description is malformed, which it is not.
pub fn lines_dropped() -> prometheus::Result<IntCounter> {
    IntCounter::new(
        "meetwatch_log_lines_dropped_total",
        "Log lines that were dropped because nobody read standard error.",
    )
}

fn report_dropped(lines: u64) {
    tracing::warn!(
        lines,
        "log lines were dropped because nobody read standard error; it is read again; if this repeats, look at what reads the log"
    );
}

/// A handle that changes the level while the program runs.
#[derive(Debug, Clone)]
pub struct Level(reload::Handle<Targets, Registry>);

impl Level {
    /// Sets the lowest level that is written; `info` if `None`.
    pub fn set(&self, level: Option<LevelFilter>) {
        // Fails only if the subscriber is gone, and then there is nothing to set.
        let _ = self.0.reload(filter(level.unwrap_or(DEFAULT_LEVEL)));
    }
}

/// The level if none is configured.
const DEFAULT_LEVEL: LevelFilter = LevelFilter::INFO;

fn filter(level: LevelFilter) -> Targets {
    let libraries = level.min(LevelFilter::WARN);
    Targets::new().with_default(libraries).with_target(env!("CARGO_CRATE_NAME"), level)
}

/// Builds the subscriber that [`install`] installs, for any writer, and the handle for its level.
pub fn subscriber<W>(
    level: LevelFilter,
    format: LogFormat,
    colours: bool,
    writer: W,
) -> (impl Subscriber + Send + Sync, Level)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(colours).with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
    };
    let (filter, handle) = reload::Layer::new(filter(level));
    (Registry::default().with(lines.with_filter(filter)), Level(handle))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: LevelFilter, format: LogFormat, lines: impl FnOnce()) -> String {
        let memory = Buffer::default();
        let writer = memory.clone();
        let (subscriber, _) = subscriber(level, format, false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, lines);
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn libraries_are_limited_to_warn_at_any_level() {
        let text = logged(LevelFilter::TRACE, LogFormat::Text, || {
            for (line, secret) in [("trace", "t0ken"), ("debug", "t0ken"), ("info", "t0ken")] {
                let _ = line;
                tracing::trace!(target: "yup_oauth2::authenticator", "found token {secret}");
                tracing::debug!(target: "hyper_util::client", "request to {secret}");
                tracing::info!(target: "rustls", "{secret}");
            }
            tracing::warn!(target: "h2", "a library's warning");
            tracing::trace!("our own trace");
        });
        assert!(!text.contains("t0ken"), "{text}");
        assert!(text.contains("a library's warning") && text.contains("our own trace"), "{text}");
    }

    #[test]
    fn a_level_above_warn_applies_to_libraries_too() {
        let text = logged(LevelFilter::ERROR, LogFormat::Text, || {
            tracing::warn!(target: "h2", "a library's warning");
            tracing::warn!("our own warning");
            tracing::error!("our own error");
        });
        assert!(!text.contains("warning") && text.contains("our own error"), "{text}");
    }

    #[test]
    fn the_level_can_be_changed_at_run_time_and_libraries_stay_limited() {
        let memory = Buffer::default();
        let writer = memory.clone();
        let (subscriber, level) = subscriber(LevelFilter::INFO, LogFormat::Text, false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("not yet");
            level.set(Some(LevelFilter::TRACE));
            tracing::trace!("now it is");
            tracing::debug!(target: "hyper_util::client", "t0ken");
            level.set(None);
            tracing::debug!("no longer");
            tracing::info!("always");
        });
        let text = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("now it is") && text.contains("always"), "{text}");
        assert!(!text.contains("not yet") && !text.contains("no longer") && !text.contains("t0ken"), "{text}");
    }

    #[test]
    fn json_is_one_object_a_line_with_the_fields_next_to_the_message() {
        let text = logged(LevelFilter::INFO, LogFormat::Json, || {
            tracing::info!(conference = "conferenceRecords/c", "listed");
            tracing::debug!("unwanted");
        });
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(line["message"], "listed");
        assert_eq!(line["conference"], "conferenceRecords/c");
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn only_the_names_of_levels_are_parsed() {
        assert_eq!(LogSettings::parse_level("debug"), Some(LevelFilter::DEBUG));
        for bad in ["off", "DEBUG", "5", ""] {
            assert_eq!(LogSettings::parse_level(bad), None, "{bad}");
        }
    }
}
