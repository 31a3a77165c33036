//! What the log has to say of each conference: all of it, unless it could not be seen.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::scenario::{Scenario, Watching};
use super::truth::Expect;
use crate::clock::{elapsed, saturating_add};
use crate::model::ConferenceName;
use crate::sim::world::ConferenceTruth;

/// So many seconds late a conference's end may show.
const LATEST_END: i64 = 302;
/// So long after its end a conference is in the list of what ended, for whoever asks for nothing older than the time of
/// the last answer but one, less the overlap. A few seconds less, because answers take time.
const LISTED_FOR: Duration = Duration::from_secs(15 * 60 - 30);
/// In so long a time a list is read, whatever fails.
const READ_WITHIN: Duration = Duration::from_secs(6 * 60);

/// What decides it.
#[derive(Debug)]
pub(super) struct Expectations<'a> {
    pub scenario: &'a Scenario,
    /// Those that are watched by name.
    pub named: &'a [ConferenceName],
    /// Those that Google denied.
    pub denied: &'a BTreeSet<ConferenceName>,
    /// When nobody ran, by Google's clock.
    pub down: &'a [(Timestamp, Timestamp)],
    /// From when on each target was watched.
    pub since: &'a [Timestamp],
}

impl Expectations<'_> {
    pub(super) fn of(&self, conference: &ConferenceTruth) -> Expect {
        // Clocks are told apart by seconds, and an end may show late: until then the conference is live.
        let before = |since: &Timestamp, slack: i64| {
            let since = since.saturating_add(SignedDuration::from_secs(slack)).unwrap_or(*since);
            conference.end.is_some_and(|end| end < since)
        };
        let certainly = |since: &Timestamp| before(since, -LATEST_END);
        let possibly = |since: &Timestamp| before(since, 2);
        if self.denied.contains(&conference.conference) {
            return Expect::WhatWasSeen;
        }
        match self.scenario.watch {
            Watching::Conferences if !self.named.contains(&conference.conference) => Expect::Nothing,
            _ if self.since.iter().all(certainly) => Expect::Nothing,
            Watching::Guest => Expect::AllIfAnything,
            _ if conference.end.is_some_and(|end| self.was_hidden(end)) => Expect::AllIfAnything,
            _ if self.since.iter().any(possibly) => Expect::AllIfAnything,
            _ => Expect::All,
        }
    }

    /// Whether what ended at `end` may never have been listed as ended: the lists were empty until it was too late.
    fn was_hidden(&self, end: Timestamp) -> bool {
        let Some((from, until)) = self.scenario.emptied else { return false };
        if until < saturating_add(end, LISTED_FOR) {
            return false;
        }
        // Before that somebody may have looked, if not all of the time went by with nobody running.
        let mut at = end;
        for (stopped, started) in self.down {
            if *stopped < saturating_add(at, READ_WITHIN) {
                at = at.max(*started);
            }
        }
        saturating_add(at, READ_WITHIN) > from || elapsed(end, from).is_zero()
    }
}
