//! The log against the world: every session started and ended once with Google's times, joins and leaves at the edges of
//! their union, a sequence without a hole, ids that are unique, corrections applied.

use std::collections::{BTreeMap, BTreeSet};

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{elapsed, saturating_add};
use crate::model::Source;
use crate::model::{ConferenceName, Event, EventId, EventType, ParticipantName, Provenance, SessionName};
use crate::sim::world::{ConferenceTruth, World};
use crate::store::{Db, Store, StoreError};
use crate::watch::roster::presence::{Stretch, unite};

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

/// Holds a log, in the order in which it was committed, against what happened: all of it.
#[must_use]
pub fn compare(world: &World, events: &[Event]) -> Compared {
    compare_as(world, events, |_| Expect::All)
}

/// As [`compare`], where not all of it can be expected of every conference.
#[must_use]
pub fn compare_as(world: &World, events: &[Event], expect: impl Fn(&ConferenceTruth) -> Expect) -> Compared {
    let mut compared = Compared::default();
    check_log(events, &mut compared);
    check_honesty(world, events, &mut compared);
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
    compared
}

/// Whatever was told as Google's word is Google's word, also what was taken back later.
fn check_honesty(world: &World, events: &[Event], compared: &mut Compared) {
    let truths: BTreeMap<_, _> = world.sessions().map(|truth| (truth.session.clone(), truth)).collect();
    let mut joins: BTreeSet<(ParticipantName, Timestamp)> = BTreeSet::new();
    let mut leaves = joins.clone();
    for truth in truths.values() {
        joins.insert((truth.participant.clone(), truth.start));
        leaves.extend(truth.end.map(|end| (truth.participant.clone(), end)));
    }
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
            compared.disagreements.push(format!("told as Google's and never was: {}", line(event)));
        }
    }
}

/// What was told as observed though it happened while nobody ran. `down`: when that was, by Google's clock.
pub(super) fn seen_while_down(events: &[Event], down: &[(Timestamp, Timestamp)]) -> Vec<String> {
    let long = down.iter().filter(|(from, to)| elapsed(*from, *to) >= Duration::from_secs(90)).collect::<Vec<_>>();
    let unseen = |event: &&Event| {
        let facts = !matches!(event.event, EventType::WatchGap | EventType::EventRetracted);
        let during = long.iter().any(|(from, to)| (*from..*to).contains(&event.time));
        facts && during && event.provenance == Provenance::Observed
    };
    events.iter().filter(unseen).map(|event| format!("observed while nobody ran: {}", line(event))).collect()
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

/// Which sessions were concluded to be over and were not, long after they were `shown` again.
pub(super) fn concluded_too_long(world: &World, events: &[Event], shown: Timestamp) -> Vec<String> {
    let truths: BTreeMap<_, _> = world.sessions().map(|truth| (truth.session.clone(), truth)).collect();
    let mut taken_back: BTreeMap<&EventId, Timestamp> = BTreeMap::new();
    for event in events {
        taken_back.extend([&event.corrects, &event.retracts].into_iter().flatten().map(|id| (id, event.observed_at)));
    }
    let ends: BTreeMap<_, _> = world.conferences().map(|truth| (truth.conference, truth.end)).collect();
    let stands_too_long = |event: &&Event| {
        let truth = event.session.as_ref().and_then(|session| truths.get(&session.name));
        let Some(truth) = truth.filter(|_| event.provenance == Provenance::Inferred) else { return false };
        let until = saturating_add(event.observed_at.max(shown), NOTICED_WITHIN);
        let over = truth.end.or(ends.get(&truth.conference).copied().flatten());
        over.is_none_or(|over| over > until) && taken_back.get(&event.id).is_none_or(|at| *at > until)
    };
    let wrong = events.iter().filter(|event| event.event == EventType::SessionEnded).filter(stands_too_long);
    wrong.map(|event| format!("there, and told as gone for long: {}", line(event))).collect()
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
        let stretches = sessions.iter().map(|(name, start, end)| Stretch {
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
