//! The log against the world: every session started and ended once with Google's times, joins and leaves at the edges of
//! their union, a sequence without a hole, ids that are unique, corrections applied.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::Source;
use crate::model::{ConferenceName, Event, EventId, EventType, ParticipantName, Provenance, SessionName};
use crate::sim::world::{ConferenceTruth, World};
use crate::store::{Db, Store, StoreError};
use crate::watch::roster::presence::{SessionInterval, unite};

/// Who is where, as the log tells it once its corrections are applied.
#[derive(Debug, Default)]
struct Told {
    started: BTreeMap<ConferenceName, Timestamp>,
    ended: BTreeMap<ConferenceName, Timestamp>,
    sessions: BTreeMap<SessionName, (Option<Timestamp>, Option<Timestamp>)>,
    joins: BTreeMap<ParticipantName, BTreeSet<Timestamp>>,
    leaves: BTreeMap<ParticipantName, BTreeSet<Timestamp>>,
}

/// What a comparison found.
#[derive(Debug, Clone, Default)]
pub struct Compared {
    pub conferences: usize,
    pub sessions: usize,
    /// The conferences of which all had to be told.
    pub whole: BTreeSet<ConferenceName>,
    /// What the log says and the world does not, or the other way round. Empty is well.
    pub disagreements: Vec<String>,
}

/// What a log has to say of a conference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// All of it.
    All,
    /// All of it, or nothing: it may not have been there to be seen.
    AllIfAnything,
    /// Nothing that is wrong; what was never shown may be missing.
    WhatWasSeen,
    Nothing,
}

/// Holds a log, in the order in which it was committed, against what happened: all of it, in a world whose Google takes
/// back no end.
#[must_use]
pub fn compare(world: &World, events: &[Event]) -> Compared {
    let mut compared = compare_as(world, events, |_| Expect::All);
    compared.disagreements.extend(super::honesty::told_as_googles(world, events));
    compared
}

/// As [`compare`], where not all of it can be expected of every conference.
#[must_use]
pub fn compare_as(world: &World, events: &[Event], expect: impl Fn(&ConferenceTruth) -> Expect) -> Compared {
    let mut compared = Compared::default();
    check_log(events, &mut compared);
    let standing = standing(events);
    let told = Told::of(&standing);
    let mut whole = BTreeSet::new();
    for conference in world.conferences() {
        compared.conferences += 1;
        let name = &conference.conference;
        let known = told.started.contains_key(name);
        match expect(&conference) {
            Expect::Nothing if known => compared.disagreements.push(format!("{name} was none of its business")),
            Expect::WhatWasSeen if known && !told.ended.contains_key(name) => {
                compared.disagreements.push(format!("{name} was never told as ended"));
            }
            Expect::All => drop(whole.insert(name.clone())),
            Expect::AllIfAnything if known => drop(whole.insert(name.clone())),
            Expect::AllIfAnything | Expect::WhatWasSeen | Expect::Nothing => {}
        }
    }
    check_sessions(world, &whole, &told, &standing, &mut compared);
    check_presences(world, &whole, &told, &standing, &mut compared);
    check_conferences(world, &whole, &told, &mut compared);
    compared.disagreements.extend(super::content::wrong(world, &whole, &standing));
    compared.whole = whole;
    compared
}

/// Why a log cannot be held against anything.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("the log cannot be read")]
    Store(#[from] StoreError),
    #[error("the log holds an event that is none")]
    Event(#[from] serde_json::Error),
}

/// The whole log of a store.
///
/// # Errors
/// If the store cannot be read, or an event in it is none.
pub async fn log(store: &Store) -> Result<Vec<Event>, LogError> {
    let mut events = Vec::new();
    let mut position = 0;
    loop {
        let rows = store.log_after(position, PAGE).await?;
        let Some(last) = rows.last() else { return Ok(events) };
        position = last.position;
        for row in rows {
            events.push(serde_json::from_str(&row.body)?);
        }
    }
}

/// As [`log`], without an executor.
///
/// # Errors
/// As [`log`].
pub fn log_of(db: &Db) -> Result<Vec<Event>, LogError> {
    let mut events = Vec::new();
    let mut position = 0;
    loop {
        let rows = db.log_after(position, PAGE)?;
        let Some(last) = rows.last() else { return Ok(events) };
        position = last.position;
        for row in rows {
            events.push(serde_json::from_str(&row.body)?);
        }
    }
}

/// The bytes of every event in the store, with what took it back.
///
/// # Errors
/// If the store cannot be read.
pub(super) fn bodies_of(db: &Db) -> Result<Vec<String>, StoreError> {
    let mut bodies = Vec::new();
    let mut position = 0;
    loop {
        let rows = db.log_after(position, PAGE)?;
        let Some(last) = rows.last() else { return Ok(bodies) };
        position = last.position;
        bodies.extend(rows.iter().map(|row| row.body.to_string()));
    }
}

/// How many rows of the log are read at once.
const PAGE: usize = 1000;

/// What holds of the log by itself.
fn check_log(events: &[Event], compared: &mut Compared) {
    let mut ids = BTreeSet::new();
    let mut sequences: BTreeMap<ConferenceName, u64> = BTreeMap::new();
    let mut present: BTreeMap<ConferenceName, i64> = BTreeMap::new();
    let types: BTreeMap<EventId, EventType> = events.iter().map(|event| (event.id.clone(), event.event)).collect();
    for event in events {
        let mut wrong = |what: &str| compared.disagreements.push(format!("{what}: {}", line(event)));
        if !ids.insert(event.id.clone()) {
            wrong("an id twice");
        }
        if event.observed_at < event.time {
            wrong("observed before it happened");
        }
        let Some(conference) = event.conference.as_ref().map(|conference| conference.name.clone()) else { continue };
        let last = sequences.entry(conference.clone()).or_default();
        *last += 1;
        if event.sequence != Some(*last) {
            wrong("a hole in the sequence");
        }
        let retracted = event.retracts.as_ref().and_then(|id| types.get(id));
        let step = match (event.event, event.corrects.is_some(), retracted) {
            (EventType::ParticipantJoined, false, _) | (_, _, Some(EventType::ParticipantLeft)) => 1,
            (EventType::ParticipantLeft, false, _) | (_, _, Some(EventType::ParticipantJoined)) => -1,
            _ => 0,
        };
        let count = present.entry(conference).or_default();
        *count += step;
        if event.present.map(i64::from) != Some((*count).max(0)) {
            wrong("a wrong count of those present");
        }
    }
}

/// The events that nothing takes back.
fn standing(events: &[Event]) -> Vec<&Event> {
    let taken_back: BTreeSet<_> =
        events.iter().flat_map(|event| [&event.corrects, &event.retracts]).flatten().collect();
    events.iter().filter(|event| !taken_back.contains(&event.id)).collect()
}

impl Told {
    fn of(standing: &[&Event]) -> Self {
        let mut told = Self::default();
        for event in standing {
            let conference = event.conference.as_ref().map(|conference| conference.name.clone());
            let participant = event.participant.as_ref().map(|participant| participant.name.clone());
            let session = event.session.as_ref().map(|session| session.name.clone());
            match (event.event, conference, participant, session) {
                (EventType::ConferenceStarted, Some(name), ..) => drop(told.started.insert(name, event.time)),
                (EventType::ConferenceEnded, Some(name), ..) => drop(told.ended.insert(name, event.time)),
                (EventType::SessionStarted, .., Some(name)) => {
                    told.sessions.entry(name).or_default().0 = Some(event.time);
                }
                (EventType::SessionEnded, .., Some(name)) => {
                    told.sessions.entry(name).or_default().1 = Some(event.time);
                }
                (EventType::ParticipantJoined, _, Some(name), _) => {
                    let _ = told.joins.entry(name).or_default().insert(event.time);
                }
                (EventType::ParticipantLeft, _, Some(name), _) => {
                    let _ = told.leaves.entry(name).or_default().insert(event.time);
                }
                _ => {}
            }
        }
        told
    }
}

/// Whether the log says, honestly, that an end is not Google's.
fn is_inferred(standing: &[&Event], session: &SessionName) -> bool {
    standing.iter().any(|event| {
        event.event == EventType::SessionEnded
            && event.provenance == Provenance::Inferred
            && event.session.as_ref().is_some_and(|told| told.name == *session)
    })
}

fn check_sessions(
    world: &World,
    whole: &BTreeSet<ConferenceName>,
    told: &Told,
    standing: &[&Event],
    compared: &mut Compared,
) {
    let mut known = told.sessions.clone();
    for truth in world.sessions() {
        compared.sessions += 1;
        if !whole.contains(&truth.conference) {
            known.remove(&truth.session);
            continue;
        }
        match known.remove(&truth.session) {
            None => compared
                .disagreements
                .push(format!("missing: {} from {} to {:?}", truth.session, truth.start, truth.end)),
            Some((start, _)) if start != Some(truth.start) => {
                compared
                    .disagreements
                    .push(format!("{} started {} and was told {start:?}", truth.session, truth.start));
            }
            // What Google never ended is told as inferred.
            Some((_, Some(_))) if truth.end.is_none() && is_inferred(standing, &truth.session) => {}
            Some((_, end)) if end != truth.end => {
                compared.disagreements.push(format!("{} ended {:?} and was told {end:?}", truth.session, truth.end));
            }
            Some(_) => {}
        }
    }
    compared.disagreements.extend(known.into_keys().map(|session| format!("told and never there: {session}")));
}

fn check_presences(
    world: &World,
    whole: &BTreeSet<ConferenceName>,
    told: &Told,
    standing: &[&Event],
    compared: &mut Compared,
) {
    let mut sessions: BTreeMap<ParticipantName, Vec<_>> = BTreeMap::new();
    for truth in world.sessions().filter(|truth| whole.contains(&truth.conference)) {
        let inferred = told.sessions.get(&truth.session).and_then(|(_, end)| *end);
        let end = truth.end.or_else(|| inferred.filter(|_| is_inferred(standing, &truth.session)));
        sessions.entry(truth.participant.clone()).or_default().push((truth.session, truth.start, end));
    }
    for (participant, sessions) in sessions {
        let stretches = sessions.iter().map(|(name, start, end)| SessionInterval {
            session: Some(name),
            start: *start,
            end: end.map(|end| (end, Source::Google)),
        });
        let united = unite(stretches);
        let joins: BTreeSet<_> = united.iter().map(|presence| presence.start).collect();
        let leaves: BTreeSet<_> = united.iter().filter_map(|presence| presence.end).map(|(end, _)| end).collect();
        if told.joins.get(&participant).unwrap_or(&BTreeSet::new()) != &joins {
            compared
                .disagreements
                .push(format!("{participant} joined {joins:?} and was told {:?}", told.joins.get(&participant)));
        }
        if told.leaves.get(&participant).unwrap_or(&BTreeSet::new()) != &leaves {
            compared
                .disagreements
                .push(format!("{participant} left {leaves:?} and was told {:?}", told.leaves.get(&participant)));
        }
    }
}

fn check_conferences(world: &World, whole: &BTreeSet<ConferenceName>, told: &Told, compared: &mut Compared) {
    for truth in world.conferences().filter(|truth| whole.contains(&truth.conference)) {
        if told.started.get(&truth.conference) != Some(&truth.start) {
            compared.disagreements.push(format!(
                "{} started {} and was told {:?}",
                truth.conference,
                truth.start,
                told.started.get(&truth.conference)
            ));
        }
        if told.ended.get(&truth.conference).copied() != truth.end {
            compared.disagreements.push(format!(
                "{} ended {:?} and was told {:?}",
                truth.conference,
                truth.end,
                told.ended.get(&truth.conference)
            ));
        }
    }
}

/// One event, readable. Simulated people have no privacy.
pub(super) fn line(event: &Event) -> String {
    let id = |name: &str| name.rsplit('/').next().unwrap_or_default().chars().take(8).collect::<String>();
    format!(
        "{} {:>4} {} {:<18} {} {} {} told {} present {} {}",
        event.conference.as_ref().map_or_else(String::new, |conference| id(conference.name.as_str())),
        event.sequence.unwrap_or_default(),
        event.time,
        event.event.as_str(),
        event.participant.as_ref().map_or_else(String::new, |person| id(person.name.as_str())),
        event.session.as_ref().map_or_else(String::new, |session| id(session.name.as_str())),
        event.provenance.as_str(),
        event.observed_at,
        event.present.unwrap_or_default(),
        event.corrects.as_ref().map(|_| "corrects").or(event.retracts.as_ref().map(|_| "retracts")).unwrap_or_default(),
    )
}
