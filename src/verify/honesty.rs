//! What a log must never claim, whatever Google showed: that somebody present has left, that a time is Google's when it
//! is not, that something was observed while the daemon did not run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::truth::line;
use crate::clock::{elapsed, saturating_add};
use crate::model::{ConferenceName, Event, EventId, EventType, ParticipantName, Provenance};
use crate::sim::world::World;

/// Returns the events with times that are wrongly attributed to Google, also if they were corrected later. Only valid
/// where Google never revises an end.
pub(super) fn wrongly_attributed_to_google(world: &World, events: &[Event]) -> Vec<String> {
    let truths: BTreeMap<_, _> = world.sessions().map(|truth| (truth.session.clone(), truth)).collect();
    let mut joins: BTreeSet<(ParticipantName, Timestamp)> = BTreeSet::new();
    let mut leaves = joins.clone();
    for truth in truths.values() {
        joins.insert((truth.participant.clone(), truth.start));
        leaves.extend(truth.end.map(|end| (truth.participant.clone(), end)));
    }
    let mut wrong = Vec::new();
    for event in events.iter().filter(|event| event.provenance != Provenance::Inferred) {
        let session = event.session.as_ref().map(|session| truths.get(&session.name));
        let edge = event.participant.as_ref().map(|person| (person.name.clone(), event.time));
        let honest = match (event.event, session, edge) {
            (EventType::SessionStarted, Some(truth), _) => truth.is_some_and(|truth| truth.start == event.time),
            (EventType::SessionEnded, Some(truth), _) => truth.is_some_and(|truth| truth.end == Some(event.time)),
            (EventType::ParticipantJoined, _, Some(edge)) => joins.contains(&edge),
            (EventType::ParticipantLeft, _, Some(edge)) => leaves.contains(&edge),
            _ => true,
        };
        if !honest {
            wrong.push(format!("wrongly attributed to Google: {}", line(event)));
        }
    }
    wrong
}

/// Returns the events that claim to be observed but happened while the daemon did not run. `down`: when that was, by
/// Google's clock.
pub(super) fn observed_while_down(events: &[Event], down: &[(Timestamp, Timestamp)]) -> Vec<String> {
    let unseen = |event: &&Event| {
        let facts = !matches!(event.event, EventType::WatchGap | EventType::EventRetracted);
        // The tolerance of an edge: headers count whole seconds.
        let edge = Duration::from_secs(2);
        // An empty conference is listed once a minute, so a gap is reported after three.
        let long = Duration::from_secs(if event.event == EventType::ConferenceEnded { 200 } else { 90 });
        let unseen = |(from, to): &(Timestamp, Timestamp)| {
            elapsed(*from, *to) >= long && event.time >= *from && saturating_add(event.time, edge) < *to
        };
        let during = down.iter().any(unseen);
        facts && during && event.provenance == Provenance::Observed
    };
    events
        .iter()
        .filter(unseen)
        .map(|event| format!("observed while the daemon did not run: {}", line(event)))
        .collect()
}

/// Returns the leaves that were inferred before the grace period was over, in a conference that went on.
pub(super) fn inferred_too_early(world: &World, events: &[Event], grace: Duration) -> Vec<String> {
    let goes_on = |event: &Event| {
        let name = event.conference.as_ref().map(|conference| &conference.name);
        let end = world.conferences().find(|truth| Some(&truth.conference) == name).and_then(|truth| truth.end);
        end.is_none_or(|end| event.observed_at < end)
    };
    // A leave without any listing is inferred at the time of the join.
    let never_listed = |event: &Event| event.session.as_ref().is_some_and(|session| session.start_time == event.time);
    let early = events.iter().filter(|event| {
        event.event == EventType::ParticipantLeft
            && event.provenance == Provenance::Inferred
            && elapsed(event.time, event.observed_at) + Duration::from_secs(5) < grace
            && goes_on(event)
            && !never_listed(event)
    });
    early.map(|event| format!("inferred too early: {}", line(event))).collect()
}

/// Within this time after a participant is visible again, the daemon notices.
const NOTICED_WITHIN: Duration = Duration::from_secs(6 * 60);

/// Returns the inferred session ends that are wrong and were not corrected in time. `excluded`: when the daemon could
/// not read the truth.
pub(super) fn inferred_too_long(
    world: &World,
    events: &[Event],
    mut excluded: Vec<(Timestamp, Timestamp)>,
    denied: &BTreeSet<ConferenceName>,
) -> Vec<String> {
    excluded.sort_unstable();
    let truths: BTreeMap<_, _> = world.sessions().map(|truth| (truth.session.clone(), truth)).collect();
    let mut superseded: BTreeMap<&EventId, Timestamp> = BTreeMap::new();
    for event in events {
        superseded.extend([&event.corrects, &event.retracts].into_iter().flatten().map(|id| (id, event.observed_at)));
    }
    let ends: BTreeMap<_, _> = world.conferences().map(|truth| (truth.conference, truth.end)).collect();
    // By when the daemon must notice: the end of the first long enough interval outside of `excluded`.
    let noticed_by = |from: Timestamp| {
        let after_exclusions = |at: Timestamp, (begun, over): &(Timestamp, Timestamp)| {
            if *begun < saturating_add(at, NOTICED_WITHIN) { at.max(*over) } else { at }
        };
        saturating_add(excluded.iter().fold(from, after_exclusions), NOTICED_WITHIN)
    };
    let stands_too_long = |event: &&Event| {
        let truth = event.session.as_ref().and_then(|session| truths.get(&session.name));
        let Some(truth) = truth.filter(|_| event.provenance == Provenance::Inferred) else { return false };
        let until = noticed_by(event.observed_at);
        let over = truth.end.or(ends.get(&truth.conference).copied().flatten());
        !denied.contains(&truth.conference)
            && over.is_none_or(|over| over > until)
            && superseded.get(&event.id).is_none_or(|at| *at > until)
    };
    let wrong = events.iter().filter(|event| event.event == EventType::SessionEnded).filter(stands_too_long);
    wrong.map(|event| format!("present, but reported as left for too long: {}", line(event))).collect()
}
