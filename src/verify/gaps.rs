//! Gaps: the times in which the daemon did not read, compared with the gaps it reported.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::truth::line;
use crate::clock::{elapsed, saturating_add};
use crate::model::{ConferenceName, Event, EventType, Gap, Provenance};

/// The tolerance of an edge: headers count whole seconds.
const EDGE: Duration = Duration::from_secs(2);
/// From this length on a gap is always reported. An empty conference is listed once a minute, and a gap is reported
/// after three.
const ALWAYS_REPORTED: Duration = Duration::from_secs(200);
/// How much earlier than the outage a reported gap may begin: the stored time of the last listing may be older than the
/// listing.
const EARLY: Duration = Duration::from_secs(60);

/// Returns the gaps that should have been reported and were not. `down`: when the daemon did not run, by Google's
/// clock. `known`: the conferences to check, with their ends. `calm`: whether there were no faults.
pub(super) fn missing(
    events: &[Event],
    down: &[(Timestamp, Timestamp)],
    known: &BTreeMap<ConferenceName, Option<Timestamp>>,
    calm: bool,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (from, to) in down.iter().filter(|(from, to)| elapsed(*from, *to) >= ALWAYS_REPORTED) {
        for (conference, _) in known.iter().filter(|(_, end)| end.is_none_or(|end| end >= *from)) {
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
                wrong.push(format!("{conference}: no gap was reported from {from} to {to}"));
            }
        }
    }
    wrong
}

/// Returns the gaps that were reported while the daemon read, in a history without faults.
pub(super) fn without_cause(events: &[Event], down: &[(Timestamp, Timestamp)]) -> Vec<String> {
    let without_cause = |event: &&Event| {
        event.gap.as_ref().is_some_and(|gap| {
            let overlaps = |(from, to): &(Timestamp, Timestamp)| gap.from <= *to && gap.to >= *from;
            !down.iter().any(overlaps)
        })
    };
    events
        .iter()
        .filter(without_cause)
        .map(|event| format!("a gap was reported while the daemon read: {}", line(event)))
        .collect()
}

/// Returns the events that were not observed in a history without faults. `since`: when watching began.
pub(super) fn not_observed(events: &[Event], since: Timestamp) -> Vec<String> {
    let late = |event: &&Event| {
        // Sessions of a second device are read when its owner leaves, at the latest.
        let fact = !matches!(
            event.event,
            EventType::WatchGap | EventType::EventRetracted | EventType::SessionStarted | EventType::SessionEnded
        );
        fact && event.time > saturating_add(since, EDGE) && event.provenance != Provenance::Observed
    };
    events.iter().filter(late).map(|event| format!("not observed although nothing failed: {}", line(event))).collect()
}
