//! Compares a log with the world: every session starts and ends once with Google's times, joins and leaves are the
//! edges of the union of sessions, sequences have no gaps, and ids are unique; corrections are applied first.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::Source;
use crate::model::{ConferenceName, Event, EventId, EventType, ParticipantName, Provenance, SessionName};
use crate::sim::world::{ConferenceTruth, World};
use crate::store::{Db, Store, StoreError};
use crate::watch::roster::presence::{SessionInterval, unite};

/// The history that a log reports, with its corrections applied.
#[derive(Debug, Default)]
struct ReportedHistory {
    started: BTreeMap<ConferenceName, Timestamp>,
    ended: BTreeMap<ConferenceName, Timestamp>,
    sessions: BTreeMap<SessionName, (Option<Timestamp>, Option<Timestamp>)>,
    joins: BTreeMap<ParticipantName, BTreeSet<Timestamp>>,
    leaves: BTreeMap<ParticipantName, BTreeSet<Timestamp>>,
}

/// The result of a comparison.
#[derive(Debug, Clone, Default)]
pub struct LogComparison {
    pub conferences: usize,
    pub sessions: usize,
    /// The conferences that had to be reported completely.
    pub whole: BTreeSet<ConferenceName>,
    /// The differences between the log and the world. Empty if they agree.
    pub disagreements: Vec<String>,
}

/// What a log must contain of a conference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// All of it.
    All,
    /// All of it, or nothing: the daemon may never have read it.
    AllOrNothing,
    /// Nothing wrong; what the API never showed may be missing.
    Partial,
    Nothing,
}

/// Compares a log, in the order of its commits, with everything that happened in a world in which Google never revises
/// the end of a session.
#[must_use]
pub fn compare(world: &World, events: &[Event]) -> LogComparison {
    let mut compared = compare_as(world, events, |_| Expect::All);
    compared.disagreements.extend(super::honesty::wrongly_attributed_to_google(world, events));
    compared
}

/// Like [`compare`], but `expect` decides what the log must contain of each conference.
#[must_use]
pub fn compare_as(world: &World, events: &[Event], expect: impl Fn(&ConferenceTruth) -> Expect) -> LogComparison {
    let mut compared = LogComparison::default();
    check_log(events, &mut compared);
    let standing = standing(events);
    let reported = ReportedHistory::of(&standing);
    let mut whole = BTreeSet::new();
    for conference in world.conferences() {
        compared.conferences += 1;
        let name = &conference.conference;
        let known = reported.started.contains_key(name);
        match expect(&conference) {
            Expect::Nothing if known => compared.disagreements.push(format!("{name} was reported but is not watched")),
            Expect::Partial if known && !reported.ended.contains_key(name) => {
                compared.disagreements.push(format!("{name} was never reported as ended"));
            }
            Expect::All => drop(whole.insert(name.clone())),
            Expect::AllOrNothing if known => drop(whole.insert(name.clone())),
            Expect::AllOrNothing | Expect::Partial | Expect::Nothing => {}
        }
    }
    check_sessions(world, &whole, &reported, &standing, &mut compared);
    check_presences(world, &whole, &reported, &standing, &mut compared);
    check_conferences(world, &whole, &reported, &mut compared);
    compared.disagreements.extend(super::content::errors(world, &whole, &standing));
    compared.whole = whole;
    compared
}

/// A log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("the log cannot be read")]
    Store(#[from] StoreError),
    #[error("the log contains an invalid event")]
    Event(#[from] serde_json::Error),
}

/// Returns the whole log of a store.
///
/// # Errors
/// If the store cannot be read, or an event in it is invalid.
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

/// Like [`log`], but synchronous.
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

/// Returns the stored body of every event, in the order of the log.
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

/// The number of log rows read at a time.
const PAGE: usize = 1000;

/// Checks the log by itself, without the world.
fn check_log(events: &[Event], compared: &mut LogComparison) {
    let mut ids = BTreeSet::new();
    let mut sequences: BTreeMap<ConferenceName, u64> = BTreeMap::new();
    let mut present: BTreeMap<ConferenceName, i64> = BTreeMap::new();
    let types: BTreeMap<EventId, EventType> = events.iter().map(|event| (event.id.clone(), event.event)).collect();
    for event in events {
        let mut wrong = |what: &str| compared.disagreements.push(format!("{what}: {}", line(event)));
        if !ids.insert(event.id.clone()) {
            wrong("duplicate id");
        }
        if event.observed_at < event.time {
            wrong("observed before it happened");
        }
        let Some(conference) = event.conference.as_ref().map(|conference| conference.name.clone()) else { continue };
        let last = sequences.entry(conference.clone()).or_default();
        *last += 1;
        if event.sequence != Some(*last) {
            wrong("gap in the sequence");
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
            wrong("wrong number of people present");
        }
    }
}

/// Returns the events that no later event corrects or retracts.
fn standing(events: &[Event]) -> Vec<&Event> {
    let superseded: BTreeSet<_> =
        events.iter().flat_map(|event| [&event.corrects, &event.retracts]).flatten().collect();
    events.iter().filter(|event| !superseded.contains(&event.id)).collect()
}

impl ReportedHistory {
    fn of(standing: &[&Event]) -> Self {
        let mut reported = Self::default();
        for event in standing {
            let conference = event.conference.as_ref().map(|conference| conference.name.clone());
            let participant = event.participant.as_ref().map(|participant| participant.name.clone());
            let session = event.session.as_ref().map(|session| session.name.clone());
            match (event.event, conference, participant, session) {
                (EventType::ConferenceStarted, Some(name), ..) => drop(reported.started.insert(name, event.time)),
                (EventType::ConferenceEnded, Some(name), ..) => drop(reported.ended.insert(name, event.time)),
                (EventType::SessionStarted, .., Some(name)) => {
                    reported.sessions.entry(name).or_default().0 = Some(event.time);
                }
                (EventType::SessionEnded, .., Some(name)) => {
                    reported.sessions.entry(name).or_default().1 = Some(event.time);
                }
                (EventType::ParticipantJoined, _, Some(name), _) => {
                    let _ = reported.joins.entry(name).or_default().insert(event.time);
                }
                (EventType::ParticipantLeft, _, Some(name), _) => {
                    let _ = reported.leaves.entry(name).or_default().insert(event.time);
                }
                _ => {}
            }
        }
        reported
    }
}

/// Returns whether the log reports the end of a session as inferred.
fn is_inferred(standing: &[&Event], session: &SessionName) -> bool {
    standing.iter().any(|event| {
        event.event == EventType::SessionEnded
            && event.provenance == Provenance::Inferred
            && event.session.as_ref().is_some_and(|reported| reported.name == *session)
    })
}

fn check_sessions(
    world: &World,
    whole: &BTreeSet<ConferenceName>,
    reported: &ReportedHistory,
    standing: &[&Event],
    compared: &mut LogComparison,
) {
    let mut known = reported.sessions.clone();
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
                    .push(format!("{} started {} but was reported as {start:?}", truth.session, truth.start));
            }
            // A session without an end at Google may be reported as ended, if inferred.
            Some((_, Some(_))) if truth.end.is_none() && is_inferred(standing, &truth.session) => {}
            Some((_, end)) if end != truth.end => {
                compared
                    .disagreements
                    .push(format!("{} ended {:?} but was reported as {end:?}", truth.session, truth.end));
            }
            Some(_) => {}
        }
    }
    compared.disagreements.extend(known.into_keys().map(|session| format!("reported but never existed: {session}")));
}

fn check_presences(
    world: &World,
    whole: &BTreeSet<ConferenceName>,
    reported: &ReportedHistory,
    standing: &[&Event],
    compared: &mut LogComparison,
) {
    let mut sessions: BTreeMap<ParticipantName, Vec<_>> = BTreeMap::new();
    for truth in world.sessions().filter(|truth| whole.contains(&truth.conference)) {
        let inferred = reported.sessions.get(&truth.session).and_then(|(_, end)| *end);
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
        if reported.joins.get(&participant).unwrap_or(&BTreeSet::new()) != &joins {
            compared.disagreements.push(format!(
                "{participant} joined {joins:?} but was reported as {:?}",
                reported.joins.get(&participant)
            ));
        }
        if reported.leaves.get(&participant).unwrap_or(&BTreeSet::new()) != &leaves {
            compared.disagreements.push(format!(
                "{participant} left {leaves:?} but was reported as {:?}",
                reported.leaves.get(&participant)
            ));
        }
    }
}

fn check_conferences(
    world: &World,
    whole: &BTreeSet<ConferenceName>,
    reported: &ReportedHistory,
    compared: &mut LogComparison,
) {
    for truth in world.conferences().filter(|truth| whole.contains(&truth.conference)) {
        if reported.started.get(&truth.conference) != Some(&truth.start) {
            compared.disagreements.push(format!(
                "{} started {} but was reported as {:?}",
                truth.conference,
                truth.start,
                reported.started.get(&truth.conference)
            ));
        }
        if reported.ended.get(&truth.conference).copied() != truth.end {
            compared.disagreements.push(format!(
                "{} ended {:?} but was reported as {:?}",
                truth.conference,
                truth.end,
                reported.ended.get(&truth.conference)
            ));
        }
    }
}

/// Returns a readable line about an event. Simulated people need no privacy.
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
