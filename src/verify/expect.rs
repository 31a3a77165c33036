//! What a log must contain of each conference: all of it, unless the daemon could not read it.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::scenario::{Scenario, Watching};
use super::truth::Expect;
use crate::clock::{elapsed, saturating_add};
use crate::model::ConferenceName;
use crate::sim::world::ConferenceTruth;

/// How late the end of a conference may become visible, in seconds.
const LATEST_END: i64 = 302;
/// How long after its end a conference is in the discovery list, which asks for nothing older than the time of the last
/// answer but one, less the overlap. A few seconds less, because answers take time.
const LISTED_FOR: Duration = Duration::from_secs(15 * 60 - 30);
/// Within this time a list is read, whatever fails.
const READ_WITHIN: Duration = Duration::from_secs(6 * 60);

/// The facts that decide what a log must contain.
#[derive(Debug)]
pub(super) struct Expectations<'a> {
    pub scenario: &'a Scenario,
    /// The conferences that are watched by name.
    pub named: &'a [ConferenceName],
    /// The conferences that Google denied.
    pub denied: &'a BTreeSet<ConferenceName>,
    /// When the daemon did not run, by Google's clock.
    pub down: &'a [(Timestamp, Timestamp)],
    /// Since when each target was watched.
    pub since: &'a [Timestamp],
}

impl Expectations<'_> {
    pub(super) fn of(&self, conference: &ConferenceTruth) -> Expect {
        // Clocks are compared to the second, and an end may become visible late: until then the conference is live.
        let before = |since: &Timestamp, slack: i64| {
            let since = since.saturating_add(SignedDuration::from_secs(slack)).unwrap_or(*since);
            conference.end.is_some_and(|end| end < since)
        };
        let certainly = |since: &Timestamp| before(since, -LATEST_END);
        let possibly = |since: &Timestamp| before(since, 2);
        if self.denied.contains(&conference.conference) {
            return Expect::Partial;
        }
        match self.scenario.watch {
            Watching::Conferences if !self.named.contains(&conference.conference) => Expect::Nothing,
            _ if self.since.iter().all(certainly) => Expect::Nothing,
            Watching::Guest => Expect::AllOrNothing,
            _ if conference.end.is_some_and(|end| self.was_hidden(end)) => Expect::AllOrNothing,
            _ if self.since.iter().any(possibly) => Expect::AllOrNothing,
            _ => Expect::All,
        }
    }

    /// Returns whether a conference that ended at `end` may never have been listed as ended, because lists were
    /// answered empty until it was too late.
    fn was_hidden(&self, end: Timestamp) -> bool {
        let Some((from, until)) = self.scenario.emptied else { return false };
        if until < saturating_add(end, LISTED_FOR) {
            return false;
        }
        // The daemon may have read the list before that, unless it did not run.
        let mut at = end;
        for (stopped, started) in self.down {
            if *stopped < saturating_add(at, READ_WITHIN) {
                at = at.max(*started);
            }
        }
        saturating_add(at, READ_WITHIN) > from || elapsed(end, from).is_zero()
    }
}
