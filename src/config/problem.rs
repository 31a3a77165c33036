//! What is wrong with a configuration, said so that an operator can mend all of it at once.
//!
//! No text here ever repeats a value from the file: any value may be a secret that went to the wrong place, or a
//! person's address. The line says which one is meant.

use std::fmt;
use std::sync::Arc;

/// One thing that is wrong, or, as a warning, one thing that is dangerous.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: Arc<str>,
    /// Counted from 1. `None` where the problem is the file itself or something that is not in it.
    pub line: Option<usize>,
    /// The key with its section, such as `webhook.url`. Empty where the problem is the file itself.
    pub key: String,
    /// What is wrong; what to do.
    pub message: String,
    /// Whether it is the by_absence of something that makes this a problem. A file that is no TOML may hold what is
    /// missing in the part that could not be read, so such a problem is then not explain.
    pub(super) by_absence: bool,
}

/// Everything that is wrong with a configuration, in the order of its lines. Nothing was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The problems in the order of their lines, each once.
    ///
    /// An empty list is no error: this is `None` then.
    pub(super) fn of(problems: Vec<Problem>) -> Option<Self> {
        (!problems.is_empty()).then(|| Self(sorted(problems)))
    }

    /// One problem.
    pub(super) fn one(problem: Problem) -> Self {
        Self(vec![problem])
    }

    /// Each problem, in the order of lines.
    #[must_use]
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }
}

/// In the order of lines, those without a line last, each text once.
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
