//! Writing to standard output, standard error and private files, and waiting for signals.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::output_args::OutputFormat;
use super::table::{Column, csv_rows, render_rows};
use crate::config::Environment;
use crate::model::text::for_json;

/// The reader closed standard output, as `head` does. Not a failure: the command ends quietly.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("standard output was closed")]
pub(super) struct OutputClosed;

/// Writes a line to standard output.
///
/// # Errors
/// [`OutputClosed`] if the reader closed it, or that it could not be written.
pub(super) fn line(text: impl Display) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(OutputClosed.into()),
        written => written.context("cannot write to standard output"),
    }
}

/// Writes a pretty-printed JSON document to standard output.
///
/// # Errors
/// As [`line`].
pub(super) fn json(document: &impl Serialize) -> anyhow::Result<()> {
    line(for_json(&serde_json::to_string_pretty(document)?))
}

/// Writes the rows that `answer` has under `key` as a table or as CSV, or the whole answer as JSON.
///
/// # Errors
/// As [`line`].
pub(super) fn list(answer: &Value, key: &str, columns: &[Column], format: OutputFormat) -> anyhow::Result<()> {
    let rows = answer[key].as_array().map(Vec::as_slice).unwrap_or_default();
    match format {
        OutputFormat::Json => json(answer),
        OutputFormat::Csv => line(csv_rows(rows, columns)),
        OutputFormat::Table => line(render_rows(rows, columns, width()).trim_end()),
    }
}

/// Returns how wide a table may be: as the terminal, and 80 columns where there is none.
pub(super) fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
    size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(80)
}

/// Returns whether to use colours: on a terminal, unless `NO_COLOR` is set.
pub(super) fn colour() -> bool {
    io::stdout().is_terminal() && !Environment::read().no_colour
}

/// Writes a line to standard error. A write error is ignored: there is no other place to report it.
pub(super) fn complain(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// As [`complain`], and gives up after `bound`, if there is one: nobody may be reading standard error.
pub(super) fn complain_within(bound: Option<Duration>, text: impl Display) {
    let Some(bound) = bound else { return complain(text) };
    let text = text.to_string();
    let (done, written) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        complain(text);
        // The caller may have given up.
        let _ = done.send(());
    });
    let _ = written.recv_timeout(bound);
}

/// Receives SIGINT and SIGTERM from the moment it is created.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Starts to listen for both signals.
    ///
    /// # Errors
    /// If the process cannot listen for signals.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next signal. Cancel-safe.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Waits for SIGINT or SIGTERM. Only signals that come after the first poll count.
///
/// # Errors
/// If the process cannot listen for signals.
pub(super) async fn interrupted() -> io::Result<()> {
    Signals::listen()?.next().await;
    Ok(())
}

/// Writes a file that only its owner can read (mode 0600). Atomic: the file is either absent, old or complete.
///
/// # Errors
/// If it cannot be written.
pub(super) fn write_private(path: &Path, contents: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        // A temporary file is 0600 from the start.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(contents)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
