//! What the program says about itself: one line for each thing that an operator can act on, on standard error.
//!
//! Only this crate's own lines follow the level that was asked for. Libraries are held at `warn` whatever was asked:
//! at their debug levels some print tokens and addresses. Libraries that use the `log` crate are not listened to at
//! all, for nothing here installs a logger for it.

use std::io::{IsTerminal as _, stderr};

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::SetGlobalDefaultError;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt, reload};

/// `[log]`. What is not set is chosen by [`install`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogSettings {
    /// The least important lines of this program that are written; `info` if not set.
    pub level: Option<LevelFilter>,
    /// Text on a terminal and JSON otherwise, if not set.
    pub format: Option<LogFormat>,
}

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    /// One object a line.
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
    /// The levels by name, the most important first.
    pub const LEVELS: [&'static str; 5] = ["error", "warn", "info", "debug", "trace"];

    /// The level of that name.
    #[must_use]
    pub fn parse_level(name: &str) -> Option<LevelFilter> {
        Self::LEVELS.contains(&name).then(|| name.parse().ok()).flatten()
    }
}

/// Writes what this process logs to standard error from now on. To be called by a command, once.
///
/// # Errors
/// If it was called before.
pub fn install(settings: LogSettings, colours: bool) -> Result<Level, SetGlobalDefaultError> {
    let terminal = stderr().is_terminal();
    let format = settings.format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let level = settings.level.unwrap_or(DEFAULT_LEVEL);
    // Not `init`, which would listen to the `log` crate too if some library turned that feature on.
    let (subscriber, level) = subscriber(level, format, terminal && colours, stderr);
    tracing::subscriber::set_global_default(subscriber)?;
    Ok(level)
}

/// Sets what is written while the program runs.
#[derive(Debug, Clone)]
pub struct Level(reload::Handle<Targets, Registry>);

impl Level {
    /// Writes lines of this importance and above from now on; without one, those of `info`.
    pub fn set(&self, level: Option<LevelFilter>) {
        // Fails only when nothing writes any more, and then there is nothing to set.
        let _ = self.0.reload(filter(level.unwrap_or(DEFAULT_LEVEL)));
    }
}

/// What is written unless somebody says otherwise.
const DEFAULT_LEVEL: LevelFilter = LevelFilter::INFO;

fn filter(level: LevelFilter) -> Targets {
    let libraries = level.min(LevelFilter::WARN);
    Targets::new().with_default(libraries).with_target(env!("CARGO_CRATE_NAME"), level)
}

/// What [`install`] installs, for any writer, and what sets its level.
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
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: LevelFilter, format: LogFormat, lines: impl FnOnce()) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let (subscriber, _) = subscriber(level, format, false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, lines);
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn libraries_are_not_heard_below_warn_whatever_is_asked() {
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
    fn a_library_says_less_where_less_is_asked() {
        let text = logged(LevelFilter::ERROR, LogFormat::Text, || {
            tracing::warn!(target: "h2", "a library's warning");
            tracing::warn!("our own warning");
            tracing::error!("our own error");
        });
        assert!(!text.contains("warning") && text.contains("our own error"), "{text}");
    }

    #[test]
    fn the_level_can_be_set_while_lines_are_written_and_libraries_stay_silent() {
        let memory = Memory::default();
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
    fn json_is_one_object_a_line_with_the_fields_beside_the_message() {
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
    fn levels_have_their_names_and_no_others() {
        assert_eq!(LogSettings::parse_level("debug"), Some(LevelFilter::DEBUG));
        for bad in ["off", "DEBUG", "5", ""] {
            assert_eq!(LogSettings::parse_level(bad), None, "{bad}");
        }
    }
}
