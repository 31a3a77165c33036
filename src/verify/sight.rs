//! When nobody looked, held against what was told of it.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::truth::line;
use crate::clock::{elapsed, saturating_add};
use crate::model::{ConferenceName, Event, EventType, Gap, Provenance};

/// Headers count whole seconds, so no edge is sharp.
const EDGE: Duration = Duration::from_secs(2);
/// A conference that stayed empty is listed once a minute, so that nobody looks is told after three.
const ALWAYS_TOLD: Duration = Duration::from_secs(200);
/// So much older than the last listing its stored time may be, and so long before it was the last look at a target.
const EARLY: Duration = Duration::from_secs(60);

/// Gaps that should have been told and were not. `down`: when nobody ran, by Google's clock. `known`: which conferences it
/// holds for. `calm`: whether nothing else went wrong.
pub(super) fn untold(
    events: &[Event],
    down: &[(Timestamp, Timestamp)],
    known: &BTreeSet<ConferenceName>,
    calm: bool,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (from, to) in down.iter().filter(|(from, to)| elapsed(*from, *to) >= ALWAYS_TOLD) {
        for conference in known {
            let own =
                || events.iter().filter(|event| event.conference.as_ref().is_some_and(|of| of.name == *conference));
            let before = own().any(|event| saturating_add(event.observed_at, EDGE) < *from);
            let over = own().any(|event| event.event == EventType::ConferenceEnded && event.observed_at < *to);
            if !before || over {
                continue;
            }
            let covers = |gap: &Gap| {
                let whole = gap.from <= saturating_add(*from, EDGE) && saturating_add(gap.to, EDGE) >= *to;
                let strict = saturating_add(gap.from, EARLY) >= *from && gap.reason == "not_running";
                whole && (strict || !calm)
            };
            if !own().filter_map(|event| event.gap.as_ref()).any(covers) {
                wrong.push(format!("{conference} tells no gap from {from} to {to}"));
            }
        }
    }
    wrong
}

/// Gaps that were told though somebody looked, where nothing goes wrong but that nobody runs at times.
pub(super) fn told_of_nothing(events: &[Event], down: &[(Timestamp, Timestamp)]) -> Vec<String> {
    let of_nothing = |event: &&Event| {
        event.gap.as_ref().is_some_and(|gap| {
            let overlaps = |(from, to): &(Timestamp, Timestamp)| gap.from <= *to && gap.to >= *from;
            !down.iter().any(overlaps)
        })
    };
    events.iter().filter(of_nothing).map(|event| format!("a gap in which somebody looked: {}", line(event))).collect()
}

/// What was told late or guessed though nothing went wrong. `since`: when the first look was.
pub(super) fn late_for_no_reason(events: &[Event], since: Timestamp) -> Vec<String> {
    let late = |event: &&Event| {
        // A second device comes to light when its owner leaves, at the latest.
        let fact = !matches!(
            event.event,
            EventType::WatchGap | EventType::EventRetracted | EventType::SessionStarted | EventType::SessionEnded
        );
        fact && event.time > saturating_add(since, EDGE) && event.provenance != Provenance::Observed
    };
    events.iter().filter(late).map(|event| format!("late for no reason: {}", line(event))).collect()
}
