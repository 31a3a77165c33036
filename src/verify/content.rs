//! What stands in the log, each event by itself: told once, of the right person, with the right account.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::truth::line;
use crate::clock::elapsed;
use crate::model::{
    Attendance, ConferenceName, Event, EventType, ParticipantKind, ParticipantName, Provenance, SessionName, Source,
};
use crate::sim::world::World;
use crate::watch::roster::presence::{SessionInterval, unite};

/// So much may a number of seconds be off: it is told to the millisecond.
const ROUNDING: f64 = 0.0015;

/// What is wrong with the events that nothing takes back, of the conferences that had to be told whole.
pub(super) fn wrong(world: &World, whole: &BTreeSet<ConferenceName>, standing: &[&Event]) -> Vec<String> {
    let mut wrong = told_twice(standing);
    let people: BTreeMap<_, _> = world.participants().map(|truth| (truth.participant.clone(), truth)).collect();
    let mut stays: BTreeMap<ConferenceName, Stays> = BTreeMap::new();
    for truth in world.sessions().filter(|truth| whole.contains(&truth.conference)) {
        stays.entry(truth.conference).or_default().entry(truth.participant).or_default().push((
            truth.session,
            truth.start,
            truth.end,
        ));
    }
    let joins = joins(standing);
    for event in standing {
        let conference = event.conference.as_ref().map(|conference| &conference.name);
        let Some(stays) = conference.and_then(|name| stays.get(name)) else { continue };
        let mut complain = |what: &str| wrong.push(format!("{what}: {}", line(event)));
        if let Some((person, truth)) =
            event.participant.as_ref().and_then(|person| Some((person, people.get(&person.name)?)))
        {
            if person.kind != truth.kind {
                complain("of another kind");
            }
            // What it is changes; that there is one does not.
            if person.display_name.is_none() && truth.kind != ParticipantKind::Unknown && !truth.display_name.is_empty()
            {
                complain("without a name");
            }
        }
        match (event.event, event.provenance) {
            (EventType::ConferenceEnded, provenance) => {
                if event.present != Some(0) {
                    complain("somebody is left after the end");
                }
                if provenance == Provenance::Inferred {
                    complain("an end that Google told, told as inferred");
                }
                match &event.attendance {
                    Some(attendance) => wrong.extend(miscounted(attendance, stays, event)),
                    None => complain("without the attendance"),
                }
            }
            (EventType::SessionEnded, Provenance::Inferred) => {
                let name = event.session.as_ref().map(|session| &session.name);
                let ended = stays.values().flatten().any(|(session, _, end)| Some(session) == name && end.is_some());
                if ended {
                    complain("an end that Google told, told as inferred");
                }
            }
            (EventType::ParticipantLeft, _) => {
                let person = event.participant.as_ref().map(|person| &person.name);
                let joined = person.and_then(|person| joins.get(person)?.range(..=event.time).next_back());
                let length = joined.map(|joined| elapsed(*joined, event.time));
                if !agree(event.seconds_present, length) {
                    complain("another length of presence");
                }
            }
            _ => {}
        }
    }
    wrong
}

/// Events of no target, where no target is ever taken away.
pub(super) fn of_no_target(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .filter(|event| event.targets.is_empty())
        .map(|event| format!("of no target: {}", line(event)))
        .collect()
}

/// Who stayed in one conference, from when to when.
type Stays = BTreeMap<ParticipantName, Vec<(SessionName, Timestamp, Option<Timestamp>)>>;

fn joins(standing: &[&Event]) -> BTreeMap<ParticipantName, BTreeSet<Timestamp>> {
    let mut joins: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for event in standing.iter().filter(|event| event.event == EventType::ParticipantJoined) {
        if let Some(person) = &event.participant {
            joins.entry(person.name.clone()).or_default().insert(event.time);
        }
    }
    joins
}

/// Each fact stands once.
fn told_twice(standing: &[&Event]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for event in standing {
        let session = event.session.as_ref().map(|session| session.name.to_string());
        let person = event.participant.as_ref().map(|person| person.name.to_string());
        let conference = event.conference.as_ref().map(|conference| conference.name.to_string());
        let fact = match event.event {
            EventType::SessionStarted | EventType::SessionEnded => (event.event, session, None),
            EventType::ParticipantJoined | EventType::ParticipantLeft => (event.event, person, Some(event.time)),
            EventType::ConferenceStarted | EventType::ConferenceEnded => (event.event, conference, None),
            EventType::WatchGap | EventType::EventRetracted | EventType::WebhookTest => continue,
        };
        if !seen.insert(fact) {
            wrong.push(format!("told twice: {}", line(event)));
        }
    }
    wrong
}

fn agree(told: Option<f64>, true_length: Option<Duration>) -> bool {
    match (told, true_length) {
        (Some(told), Some(length)) => (told - length.as_secs_f64()).abs() < ROUNDING,
        _ => false,
    }
}

/// What the account at the end has wrong.
fn miscounted(attendance: &Attendance, stays: &Stays, event: &Event) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut complain = |what: String| wrong.push(format!("{what}: {}", line(event)));
    if usize::try_from(attendance.total).ok() != Some(stays.len()) {
        complain(format!("{} people told of {}", attendance.total, stays.len()));
    }
    let mut edges: Vec<(Timestamp, i32)> = Vec::new();
    let mut all_ended = true;
    for (name, sessions) in stays {
        let ended: Vec<_> =
            sessions.iter().filter_map(|(session, start, end)| Some((session, *start, (*end)?))).collect();
        if ended.len() < sessions.len() {
            // Google never ended it, so nobody knows how long it was.
            all_ended = false;
            continue;
        }
        let stretches = ended.iter().map(|(session, start, end)| SessionInterval {
            session: Some(*session),
            start: *start,
            end: Some((*end, Source::Google)),
        });
        let united = unite(stretches);
        let mut present = Duration::ZERO;
        for presence in &united {
            let Some((end, _)) = presence.end else { continue };
            present += elapsed(presence.start, end);
            edges.extend([(presence.start, 1), (end, -1)]);
        }
        let Some(rows) = &attendance.participants else { continue };
        let Some(row) = rows.iter().find(|row| row.participant.name == *name) else {
            complain(format!("{name} is not accounted for"));
            continue;
        };
        let first = ended.iter().map(|(_, start, _)| *start).min();
        let last = ended.iter().map(|(_, _, end)| *end).max();
        let right = Some(row.first_join) == first
            && Some(row.last_leave) == last
            && agree(Some(row.seconds_present), Some(present))
            && usize::try_from(row.sessions).ok() == Some(sessions.len());
        if !right {
            complain(format!("{name} is accounted for as {row:?}"));
        }
    }
    edges.sort_unstable();
    let (_, peak) = edges.iter().fold((0, 0), |(now, peak), (_, step)| (now + step, peak.max(now + step)));
    if all_ended && i64::from(attendance.peak) != i64::from(peak) {
        complain(format!("a peak of {} told of {peak}", attendance.peak));
    }
    wrong
}
