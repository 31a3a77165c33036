//! Writing for people: what was asked for on standard output, complaints on standard error.

use std::fmt::Display;
use std::io::{self, Write as _};

use anyhow::Context as _;

/// Nobody reads standard output any more. Not a failure: the command ends quietly.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("standard output was closed")]
pub struct OutputClosed;

/// Writes a line to standard output.
///
/// # Errors
/// [`OutputClosed`] if nobody reads it any more, or that it could not be written.
pub fn line(text: impl Display) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(OutputClosed.into()),
        written => written.context("cannot write to standard output"),
    }
}

/// Writes a line to standard error; if that cannot be written to, there is nobody left to tell.
pub(super) fn complain(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
