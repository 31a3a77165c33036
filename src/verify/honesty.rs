//! What a log may never say, whatever Google showed: somebody gone who was there, Google's word that was none, something
//! observed while nobody looked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::truth::line;
use crate::clock::{elapsed, saturating_add};
use crate::model::{ConferenceName, Event, EventId, EventType, ParticipantName, Provenance};
use crate::sim::world::World;

/// What was told as Google's word and is not, also where it was taken back later. Only where Google never takes an end
/// back itself.
pub(super) fn told_as_googles(world: &World, events: &[Event]) -> Vec<String> {
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
            wrong.push(format!("told as Google's and never was: {}", line(event)));
        }
    }
    wrong
}

/// What was told as observed though it happened while nobody ran. `down`: when that was, by Google's clock.
pub(super) fn seen_while_down(events: &[Event], down: &[(Timestamp, Timestamp)]) -> Vec<String> {
    let unseen = |event: &&Event| {
        let facts = !matches!(event.event, EventType::WatchGap | EventType::EventRetracted);
        // Headers count whole seconds, so the edges are not sharp.
        let edge = Duration::from_secs(2);
        // A conference that stayed empty is listed once a minute, so that a gap is one after three.
        let long = Duration::from_secs(if event.event == EventType::ConferenceEnded { 200 } else { 90 });
        let unseen = |(from, to): &(Timestamp, Timestamp)| {
            elapsed(*from, *to) >= long && event.time >= *from && saturating_add(event.time, edge) < *to
        };
        let during = down.iter().any(unseen);
        facts && during && event.provenance == Provenance::Observed
    };
    events.iter().filter(unseen).map(|event| format!("observed while nobody ran: {}", line(event))).collect()
}

/// Who was concluded to have left before their grace was over, in a conference that went on.
pub(super) fn concluded_too_early(world: &World, events: &[Event], grace: Duration) -> Vec<String> {
    let goes_on = |event: &Event| {
        let name = event.conference.as_ref().map(|conference| &conference.name);
        let end = world.conferences().find(|truth| Some(&truth.conference) == name).and_then(|truth| truth.end);
        end.is_none_or(|end| event.observed_at < end)
    };
    // Somebody who was never listed is taken to have left when they came.
    let never_listed = |event: &Event| event.session.as_ref().is_some_and(|session| session.start_time == event.time);
    let early = events.iter().filter(|event| {
        event.event == EventType::ParticipantLeft
            && event.provenance == Provenance::Inferred
            && elapsed(event.time, event.observed_at) + Duration::from_secs(5) < grace
            && goes_on(event)
            && !never_listed(event)
    });
    early.map(|event| format!("concluded too early: {}", line(event))).collect()
}

/// So long may it take until somebody who is shown again is seen to be there.
const NOTICED_WITHIN: Duration = Duration::from_secs(6 * 60);

/// Which sessions were concluded to be over and were not, long after somebody could see it. `trouble`: when nobody could.
pub(super) fn concluded_too_long(
    world: &World,
    events: &[Event],
    mut trouble: Vec<(Timestamp, Timestamp)>,
    denied: &BTreeSet<ConferenceName>,
) -> Vec<String> {
    trouble.sort_unstable();
    let truths: BTreeMap<_, _> = world.sessions().map(|truth| (truth.session.clone(), truth)).collect();
    let mut taken_back: BTreeMap<&EventId, Timestamp> = BTreeMap::new();
    for event in events {
        taken_back.extend([&event.corrects, &event.retracts].into_iter().flatten().map(|id| (id, event.observed_at)));
    }
    let ends: BTreeMap<_, _> = world.conferences().map(|truth| (truth.conference, truth.end)).collect();
    // By when it has to be noticed: the first time that was long enough without any trouble is over.
    let noticed_by = |from: Timestamp| {
        let untroubled = |at: Timestamp, (begun, over): &(Timestamp, Timestamp)| {
            if *begun < saturating_add(at, NOTICED_WITHIN) { at.max(*over) } else { at }
        };
        saturating_add(trouble.iter().fold(from, untroubled), NOTICED_WITHIN)
    };
    let stands_too_long = |event: &&Event| {
        let truth = event.session.as_ref().and_then(|session| truths.get(&session.name));
        let Some(truth) = truth.filter(|_| event.provenance == Provenance::Inferred) else { return false };
        let until = noticed_by(event.observed_at);
        let over = truth.end.or(ends.get(&truth.conference).copied().flatten());
        !denied.contains(&truth.conference)
            && over.is_none_or(|over| over > until)
            && taken_back.get(&event.id).is_none_or(|at| *at > until)
    };
    let wrong = events.iter().filter(|event| event.event == EventType::SessionEnded).filter(stands_too_long);
    wrong.map(|event| format!("there, and told as gone for long: {}", line(event))).collect()
}
