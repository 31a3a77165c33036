//! The journal of a history: reads, answers and incidents, to find out why a history disagrees.

use std::collections::VecDeque;

use jiff::Timestamp;

use crate::watch::WorkKey;

/// The maximum number of lines. The oldest are dropped first.
const MAX_LINES: usize = 200_000;

/// The journal of one history. Empty unless the options ask for it.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    kept: bool,
    lines: VecDeque<(Timestamp, Option<String>, String)>,
}

impl Journal {
    pub(super) fn new(kept: bool) -> Self {
        Self { kept, lines: VecDeque::new() }
    }

    /// Adds a line about one conference or target, or, without a key, about all of them.
    pub(super) fn note(&mut self, at: Timestamp, key: Option<&WorkKey>, line: impl FnOnce() -> String) {
        if !self.kept {
            return;
        }
        if self.lines.len() >= MAX_LINES {
            self.lines.pop_front();
        }
        let about = key.map(|key| match key {
            WorkKey::Conference(name) => name.to_string(),
            WorkKey::Target(name) => name.to_string(),
            WorkKey::Lookup(identity) => identity.to_string(),
        });
        self.lines.push_back((at, about, line()));
    }

    /// Returns the lines about a conference and those about all, in order.
    pub fn about<'a>(&'a self, conference: &'a str) -> impl Iterator<Item = (Timestamp, &'a str)> {
        let concerns = move |about: &Option<String>| {
            about.as_ref().is_none_or(|about| about == conference || !about.starts_with("conferenceRecords/"))
        };
        self.lines.iter().filter(move |(_, about, _)| concerns(about)).map(|(at, _, line)| (*at, line.as_str()))
    }
}
