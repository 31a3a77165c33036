//! What one reading of a configuration has to say: its problems and warnings, gathered while it goes on, and which keys
//! it knew.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::problem::{Problem, Problems, sorted};

/// The gathering place that every section of one file shares.
#[derive(Debug)]
pub(super) struct Diagnostics {
    file: Arc<str>,
    /// Where each line begins, in bytes.
    line_starts: Vec<usize>,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
    known: RefCell<BTreeSet<String>>,
    /// The first secret that stands in the file itself.
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
            known: RefCell::default(),
            secret: RefCell::default(),
        }
    }

    /// The line, counted from 1, in which the byte at `offset` lies.
    pub(super) fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    /// Something is wrong.
    pub(super) fn problem(&self, line: Option<usize>, key: &str, message: impl Into<String>) {
        self.problems.borrow_mut().push(self.new_problem(line, key, message.into(), false));
    }

    /// Something that has to be there is not.
    pub(super) fn absent(&self, line: Option<usize>, key: &str, message: impl Into<String>) {
        self.problems.borrow_mut().push(self.new_problem(line, key, message.into(), true));
    }

    /// Something is allowed and dangerous.
    pub(super) fn warning(&self, line: Option<usize>, key: &str, message: impl Into<String>) {
        self.warnings.borrow_mut().push(self.new_problem(line, key, message.into(), false));
    }

    /// Something that is named is not there and may still come.
    pub(super) fn not_there(&self, line: usize, key: &str, message: impl Into<String>) {
        self.warnings.borrow_mut().push(self.new_problem(Some(line), key, message.into(), true));
    }

    /// A secret stands in the file itself.
    pub(super) fn holds_a_secret(&self, line: usize, key: &str) {
        self.secret.borrow_mut().get_or_insert_with(|| (line, key.to_owned()));
    }

    /// The file can be read by everybody: a warning if there is a secret in it.
    pub(super) fn file_is_open(&self) {
        if let Some((line, key)) = self.secret.borrow().as_ref() {
            let message = "is a secret, and every user of this machine can read this file; `chmod 600` it";
            self.warning(Some(*line), key, message);
        }
    }

    /// A key was asked for, so it is one that an operator may write.
    pub(super) fn know(&self, key: String) {
        self.known.borrow_mut().insert(key);
    }

    /// Every key that was asked for, as `section.key`.
    #[cfg(test)]
    pub(super) fn known(&self) -> BTreeSet<String> {
        self.known.borrow().clone()
    }

    /// The file is not TOML in the places that `errors` name. What was concluded from a line that could not be read is
    /// forgotten, and if more than that line may be lost, what was concluded from something not being there: it need
    /// not be so.
    pub(super) fn syntax(&self, errors: &[toml::de::Error]) {
        let mut problems = self.problems.borrow_mut();
        let line_of = |error: &toml::de::Error| error.span().map(|span| self.line_of(span.start));
        let broken: BTreeSet<_> = errors.iter().filter_map(line_of).collect();
        let all_is_read = errors.iter().all(costs_one_value);
        problems.retain(|problem| {
            (all_is_read || !problem.by_absence) && problem.line.is_none_or(|line| !broken.contains(&line))
        });
        // Only the message: the whole error would quote the line, which may hold a secret.
        let syntax = errors.iter().map(|error| {
            let message = format!("this is not TOML: {}", error.message());
            self.new_problem(line_of(error), "", message, false)
        });
        problems.extend(syntax);
    }

    /// The warnings, if nothing is wrong.
    pub(super) fn finish(self) -> Result<Vec<Problem>, Problems> {
        match Problems::of(self.problems.into_inner()) {
            Some(problems) => Err(problems),
            None => Ok(sorted(self.warnings.into_inner())),
        }
    }

    fn new_problem(&self, line: Option<usize>, key: &str, message: String, by_absence: bool) -> Problem {
        Problem { file: self.file.clone(), line, key: key.to_owned(), message, by_absence }
    }
}

/// Whether an error is one of those after which reading goes on with the next value and nothing else is lost.
fn costs_one_value(error: &toml::de::Error) -> bool {
    ["duplicate key", "string values must be quoted"].iter().any(|known| error.message().starts_with(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_one_and_an_offset_past_the_end_is_on_the_last() {
        let diagnostics = Diagnostics::new("f", "ab\n\ncd");
        let lines: Vec<_> = [0, 2, 3, 4, 5, 99].map(|offset| diagnostics.line_of(offset)).into();
        assert_eq!(lines, [1, 1, 2, 3, 3, 3]);
    }
}
