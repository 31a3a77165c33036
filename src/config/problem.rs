//! The problems of a configuration, collected so that an operator can fix all of them at once.
//!
//! No message repeats a value from the file, because any value may be a misplaced secret or a person's address. The line
//! number says which value is meant.

use std::fmt;
use std::sync::Arc;

/// One problem or, as a warning, one danger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: Arc<str>,
    /// Counted from 1. `None` if the problem is the file itself or something missing from it.
    pub line: Option<usize>,
    /// The key with its section, such as `webhook.url`. Empty if the problem is the file itself.
    pub key: String,
    /// What is wrong, and what to do.
    pub message: String,
    /// Whether the problem is that something is missing. If the file has a syntax error, the missing part may be in what
    /// could not be parsed, so such a problem is then not reported.
    pub(super) because_missing: bool,
}

impl Problem {
    /// Returns whether the problem is that a file or a section is missing.
    #[must_use]
    pub fn is_about_a_missing_file(&self) -> bool {
        self.because_missing
    }
}

/// All problems of a configuration, in the order of their lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The problems in the order of their lines, each once. `None` if there are none.
    pub(super) fn of(problems: Vec<Problem>) -> Option<Self> {
        (!problems.is_empty()).then(|| Self(sorted(problems)))
    }

    /// One problem.
    pub(super) fn one(problem: Problem) -> Self {
        Self(vec![problem])
    }

    /// The problems, in the order of their lines.
    #[must_use]
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }
}

/// Sorts by line, problems without a line last, and removes duplicates.
pub(super) fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
    let mut said = std::collections::HashSet::new();
    problems.retain(|problem| said.insert(problem.to_string()));
    problems
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        f.write_str(": ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}
