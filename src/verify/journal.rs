//! What happened in a history besides its events, for whoever has to find out why it disagrees.

use std::collections::VecDeque;

use jiff::Timestamp;

use crate::watch::WorkKey;

/// The journal is as long as this; what came first is forgotten first.
const MOST: usize = 200_000;

/// The journal of one history. Kept only where it was asked for.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    kept: bool,
    lines: VecDeque<(Timestamp, Option<String>, String)>,
}

impl Journal {
    pub(super) fn new(kept: bool) -> Self {
        Self { kept, lines: VecDeque::new() }
    }

    /// Notes what concerns one conference or target, or, without a key, all of them.
    pub(super) fn note(&mut self, at: Timestamp, key: Option<&WorkKey>, line: impl FnOnce() -> String) {
        if !self.kept {
            return;
        }
        if self.lines.len() >= MOST {
            self.lines.pop_front();
        }
        let about = key.map(|key| match key {
            WorkKey::Conference(name) => name.to_string(),
            WorkKey::Target(name) => name.to_string(),
            WorkKey::Lookup(identity) => identity.to_string(),
        });
        self.lines.push_back((at, about, line()));
    }

    /// What concerns a conference and what concerns all, in order.
    pub fn about<'a>(&'a self, conference: &'a str) -> impl Iterator<Item = (Timestamp, &'a str)> {
        let concerns = move |about: &Option<String>| {
            about.as_ref().is_none_or(|about| about == conference || !about.starts_with("conferenceRecords/"))
        };
        self.lines.iter().filter(move |(_, about, _)| concerns(about)).map(|(at, _, line)| (*at, line.as_str()))
    }
}
