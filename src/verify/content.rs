//! Checks each event of a log by itself: reported once, with the right person, and with the right attendance.

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

/// The tolerance of a duration in seconds: events have milliseconds.
const ROUNDING: f64 = 0.0015;

/// Returns the errors in the standing events of the conferences that had to be reported completely.
pub(super) fn errors(world: &World, whole: &BTreeSet<ConferenceName>, standing: &[&Event]) -> Vec<String> {
    let mut wrong = duplicates(standing);
    let people: BTreeMap<_, _> = world.participants().map(|truth| (truth.participant.clone(), truth)).collect();
    let mut stays: BTreeMap<ConferenceName, SessionsByParticipant> = BTreeMap::new();
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
                complain("wrong kind of participant");
            }
            // A name may change, but it stays present.
            if person.display_name.is_none() && truth.kind != ParticipantKind::Unknown && !truth.display_name.is_empty()
            {
                complain("missing name");
            }
        }
        match (event.event, event.provenance) {
            (EventType::ConferenceEnded, provenance) => {
                if event.present != Some(0) {
                    complain("people present after the end");
                }
                if provenance == Provenance::Inferred {
                    complain("an end known from Google was reported as inferred");
                }
                match &event.attendance {
                    Some(attendance) => wrong.extend(attendance_errors(attendance, stays, event)),
                    None => complain("missing attendance"),
                }
            }
            (EventType::SessionEnded, Provenance::Inferred) => {
                let name = event.session.as_ref().map(|session| &session.name);
                let ended = stays.values().flatten().any(|(session, _, end)| Some(session) == name && end.is_some());
                if ended {
                    complain("an end known from Google was reported as inferred");
                }
            }
            (EventType::ParticipantLeft, _) => {
                let person = event.participant.as_ref().map(|person| &person.name);
                let joined = person.and_then(|person| joins.get(person)?.range(..=event.time).next_back());
                let length = joined.map(|joined| elapsed(*joined, event.time));
                if !agree(event.seconds_present, length) {
                    complain("wrong length of presence");
                }
            }
            _ => {}
        }
    }
    wrong
}

/// Returns the events without a target. Histories never remove a target.
pub(super) fn without_target(events: &[Event]) -> Vec<String> {
    events.iter().filter(|event| event.targets.is_empty()).map(|event| format!("no target: {}", line(event))).collect()
}

/// The sessions of one conference by participant, with start and end.
type SessionsByParticipant = BTreeMap<ParticipantName, Vec<(SessionName, Timestamp, Option<Timestamp>)>>;

fn joins(standing: &[&Event]) -> BTreeMap<ParticipantName, BTreeSet<Timestamp>> {
    let mut joins: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for event in standing.iter().filter(|event| event.event == EventType::ParticipantJoined) {
        if let Some(person) = &event.participant {
            joins.entry(person.name.clone()).or_default().insert(event.time);
        }
    }
    joins
}

/// Returns the facts that are reported more than once.
fn duplicates(standing: &[&Event]) -> Vec<String> {
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
            wrong.push(format!("reported twice: {}", line(event)));
        }
    }
    wrong
}

fn agree(reported: Option<f64>, true_length: Option<Duration>) -> bool {
    match (reported, true_length) {
        (Some(reported), Some(length)) => (reported - length.as_secs_f64()).abs() < ROUNDING,
        _ => false,
    }
}

/// Returns the errors in the attendance of an ended conference.
fn attendance_errors(attendance: &Attendance, stays: &SessionsByParticipant, event: &Event) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut complain = |what: String| wrong.push(format!("{what}: {}", line(event)));
    if usize::try_from(attendance.total).ok() != Some(stays.len()) {
        complain(format!("{} people reported, {} took part", attendance.total, stays.len()));
    }
    let mut edges: Vec<(Timestamp, i32)> = Vec::new();
    let mut all_ended = true;
    for (name, sessions) in stays {
        let ended: Vec<_> =
            sessions.iter().filter_map(|(session, start, end)| Some((session, *start, (*end)?))).collect();
        if ended.len() < sessions.len() {
            // Google never ended a session, so its length is unknown.
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
            complain(format!("{name} is missing from the attendance"));
            continue;
        };
        let first = ended.iter().map(|(_, start, _)| *start).min();
        let last = ended.iter().map(|(_, _, end)| *end).max();
        let right = Some(row.first_join) == first
            && Some(row.last_leave) == last
            && agree(Some(row.seconds_present), Some(present))
            && usize::try_from(row.sessions).ok() == Some(sessions.len());
        if !right {
            complain(format!("wrong attendance of {name}: {row:?}"));
        }
    }
    edges.sort_unstable();
    let (_, peak) = edges.iter().fold((0, 0), |(now, peak), (_, step)| (now + step, peak.max(now + step)));
    if all_ended && i64::from(attendance.peak) != i64::from(peak) {
        complain(format!("peak {} reported, was {peak}", attendance.peak));
    }
    wrong
}
