//! Collects the problems and warnings while a configuration is read, and the keys that were asked for.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::problem::{Problem, Problems, sorted};

/// The problems and warnings of one file, shared by all of its sections.
#[derive(Debug)]
pub(super) struct Diagnostics {
    file: Arc<str>,
    /// Where each line begins, in bytes.
    line_starts: Vec<usize>,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
    known_keys: RefCell<BTreeSet<String>>,
    /// The line and the key of the first secret in the file itself.
    secret: RefCell<Option<(usize, String)>>,
}

impl Diagnostics {
    pub(super) fn new(file: &str, text: &str) -> Self {
        let after_newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self {
            file: file.into(),
            line_starts: std::iter::once(0).chain(after_newlines).collect(),
            problems: RefCell::default(),
            warnings: RefCell::default(),
            known_keys: RefCell::default(),
            secret: RefCell::default(),
        }
    }

    /// The line, counted from 1, of the byte at `offset`.
    pub(super) fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    /// The name of the file.
    pub(super) fn file(&self) -> Arc<str> {
        self.file.clone()
    }

    /// Adds a problem.
    pub(super) fn problem(&self, line: Option<usize>, key: &str, message: impl Into<String>) {
        self.problems.borrow_mut().push(self.new_problem(line, key, message.into(), false));
    }

    /// Adds the problem that something required is missing.
    pub(super) fn absent(&self, line: Option<usize>, key: &str, message: impl Into<String>) {
        self.problems.borrow_mut().push(self.new_problem(line, key, message.into(), true));
    }

    /// Adds a warning: something is allowed but dangerous.
    pub(super) fn warning(&self, line: Option<usize>, key: &str, message: impl Into<String>) {
        self.warnings.borrow_mut().push(self.new_problem(line, key, message.into(), false));
    }

    /// Adds a warning that a file which the configuration names does not exist yet.
    pub(super) fn not_there(&self, line: usize, key: &str, message: impl Into<String>) {
        self.warnings.borrow_mut().push(self.new_problem(Some(line), key, message.into(), true));
    }

    /// Notes that the file itself contains a secret.
    pub(super) fn note_secret(&self, line: usize, key: &str) {
        self.secret.borrow_mut().get_or_insert_with(|| (line, key.to_owned()));
    }

    /// Notes that every user can read the file: a warning if it contains a secret.
    pub(super) fn note_world_readable(&self) {
        if let Some((line, key)) = self.secret.borrow().as_ref() {
            let message = "is a secret, and every user of this machine can read this file; `chmod 600` it";
            self.warning(Some(*line), key, message);
        }
    }

    /// Notes that a key was asked for, so that it is a known key.
    pub(super) fn note_key(&self, key: String) {
        self.known_keys.borrow_mut().insert(key);
    }

    /// Every key that was asked for, as `section.key`.
    #[cfg(test)]
    pub(super) fn known_keys(&self) -> BTreeSet<String> {
        self.known_keys.borrow().clone()
    }

    /// Adds the syntax errors of the file. Removes the problems of lines that could not be parsed. If more than such a line
    /// may be lost, also removes the problems that something is missing, because it may be in the lost part.
    pub(super) fn syntax(&self, errors: &[toml::de::Error]) {
        let mut problems = self.problems.borrow_mut();
        let line_of = |error: &toml::de::Error| error.span().map(|span| self.line_of(span.start));
        let broken: BTreeSet<_> = errors.iter().filter_map(line_of).collect();
        let nothing_else_lost = errors.iter().all(costs_one_value);
        problems.retain(|problem| {
            (nothing_else_lost || !problem.because_missing) && problem.line.is_none_or(|line| !broken.contains(&line))
        });
        // Only the message: the whole error would quote the line, which may contain a secret.
        let syntax = errors.iter().map(|error| {
            let message = format!("syntax error: {}", error.message());
            self.new_problem(line_of(error), "", message, false)
        });
        problems.extend(syntax);
    }

    /// Returns the warnings, or all problems if there is one.
    pub(super) fn finish(self) -> Result<Vec<Problem>, Problems> {
        match Problems::of(self.problems.into_inner()) {
            Some(problems) => Err(problems),
            None => Ok(sorted(self.warnings.into_inner())),
        }
    }

    fn new_problem(&self, line: Option<usize>, key: &str, message: String, because_missing: bool) -> Problem {
        Problem { file: self.file.clone(), line, key: key.to_owned(), message, because_missing }
    }
}

/// Whether the parser goes on with the next value after this error, so that nothing else is lost.
fn costs_one_value(error: &toml::de::Error) -> bool {
    ["duplicate key", "string values must be quoted"].iter().any(|known| error.message().starts_with(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_count_from_one_and_an_offset_past_the_end_is_on_the_last_line() {
        let diagnostics = Diagnostics::new("f", "ab\n\ncd");
        let lines: Vec<_> = [0, 2, 3, 4, 5, 99].map(|offset| diagnostics.line_of(offset)).into();
        assert_eq!(lines, [1, 1, 2, 3, 3, 3]);
    }
}
