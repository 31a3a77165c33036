//! Pure: the roster as it was committed last, from the rows of the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::facts::{ToldEdge, ToldPresence};
use super::person::{Person, Withdrawn};
use super::session::{Known, Telling};
use super::sight::{Attention, Sight};
use super::tell::{GAPS_REMEMBERED, before_it_was_found};
use super::{Listed, Record, Roster};
use crate::clock::Mono;
use crate::model::{EventType, ParticipantName, Source};
use crate::store::{ConferenceRow, EmittedRow, ParticipantRow, SessionRow, StoredConference};

impl Roster {
    /// Rebuilds the roster that these rows were made from. Suspicions are not kept: they begin anew.
    #[must_use]
    pub fn restore(stored: StoredConference, now: Mono) -> Self {
        let StoredConference { conference, participants, sessions, emitted: told } = stored;
        let mut people: BTreeMap<ParticipantName, Person> =
            participants.into_iter().map(|row| (row.name.clone(), person(row, now))).collect();
        for row in sessions {
            if let Some(person) = people.get_mut(&row.name.participant()) {
                person.sessions.push(known(row));
            }
        }
        let mut record = record(&conference);
        let end = told.iter().rfind(|row| row.event == EventType::ConferenceEnded);
        let late = end.is_some_and(|end| end.sequence < conference.last_sequence);
        // A gap is told when it is over.
        let gaps = told.iter().filter(|row| row.event == EventType::WatchGap).map(|gap| (gap.time, gap.observed_at));
        let found = told.iter().find(|row| row.event == EventType::ConferenceStarted);
        let found_at = found.map(|row| row.observed_at);
        let unseen = found.and_then(|row| before_it_was_found(row.time, row.observed_at, row.provenance));
        let mut blind: Vec<_> = unseen.into_iter().chain(gaps).collect();
        blind.drain(..blind.len().saturating_sub(GAPS_REMEMBERED));
        for row in &told {
            match &row.participant {
                None => recall_record(&mut record, row),
                Some(name) => {
                    if let Some(person) = people.get_mut(name) {
                        recall(person, row);
                    }
                }
            }
        }
        for person in people.values_mut() {
            finish(person);
        }
        let attention = people
            .iter()
            .filter(|(_, person)| person.is_unsettled() && conference.end.is_none())
            .map(|(name, _)| (name.clone(), Attention::at_once(now)))
            .collect();
        let expected = people.values().filter(|person| person.is_expected()).count();
        Self {
            record: Arc::new(record),
            people: Arc::new(people.into_iter().map(|(name, person)| (name, Arc::new(person))).collect()),
            attention: Arc::new(attention),
            sequence: conference.last_sequence,
            present: conference.present,
            expected,
            // Found and never listed: nobody has looked since it was found.
            listed: conference.last_listed.or(found_at).map(|at| Listed {
                at,
                mono: None,
                blind_after: Duration::ZERO,
                by: conference.identity,
            }),
            blind,
            late,
            disagreements: 0,
        }
    }
}

fn record(row: &ConferenceRow) -> Record {
    Record {
        name: row.name.clone(),
        space: row.space.clone(),
        meeting_code: row.meeting_code.clone(),
        start: row.start,
        end: row.end,
        started: None,
        ended: None,
        withdrawn: Vec::new(),
    }
}

fn person(row: ParticipantRow, now: Mono) -> Person {
    Person {
        kind: row.kind,
        user: row.user,
        display_name: row.display_name,
        email: row.email,
        affiliation: row.affiliation,
        earliest_start: row.earliest_start,
        latest_end: row.latest_end,
        sessions: Vec::new(),
        presences: Vec::new(),
        withdrawn: Vec::new(),
        sight: row.seen_by.map_or(Sight::Away, |by| Sight::Listed { by }),
        last_seen: row.last_seen,
        first_seen: now,
        inferred_end: None,
    }
}

fn known(row: SessionRow) -> Known {
    Known { name: row.name, start: row.start, end: row.end, started: None, ended: None }
}

fn recall_record(record: &mut Record, row: &EmittedRow) {
    let telling = Telling { time: row.time, source: row.source, n: row.n };
    match row.event {
        _ if !row.stands => record.withdrawn.push(withdrawn(row)),
        EventType::ConferenceStarted => record.started = Some(telling),
        EventType::ConferenceEnded => record.ended = Some(telling),
        _ => {}
    }
}

/// Takes back in what was told of a person. Joins come before the leaves that end them: rows are in sequence order only,
/// so the leaves are matched in [`finish`].
fn recall(person: &mut Person, row: &EmittedRow) {
    let telling = Telling { time: row.time, source: row.source, n: row.n };
    let session =
        row.session.as_ref().and_then(|name| person.sessions.iter_mut().find(|session| session.name == *name));
    match row.event {
        _ if !row.stands => person.withdrawn.push(withdrawn(row)),
        EventType::SessionStarted => {
            if let Some(session) = session {
                session.started = Some(telling);
            }
        }
        EventType::SessionEnded => {
            if let Some(session) = session {
                session.ended = Some(telling);
            }
        }
        EventType::ParticipantJoined => {
            person
                .presences
                .push(ToldPresence { joined: ToldEdge { telling, session: row.session.clone() }, left: None });
        }
        EventType::ParticipantLeft => {
            // Kept apart for now as a presence that begins where it ends.
            let edge = ToldEdge { telling, session: row.session.clone() };
            person.presences.push(ToldPresence { joined: edge.clone(), left: Some(edge) });
        }
        _ => {}
    }
}

/// Matches each leave with the join before it, and takes up what follows from the whole.
fn finish(person: &mut Person) {
    let mut edges = std::mem::take(&mut person.presences);
    edges.sort_by_key(|edge| (edge.joined.telling.time, edge.left.is_some()));
    for edge in edges {
        match (edge.left, person.presences.last_mut()) {
            (None, _) => person.presences.push(ToldPresence { joined: edge.joined, left: None }),
            (left, Some(presence)) => presence.left = left,
            (Some(_), None) => {}
        }
    }
    let last_left = person.presences.last().and_then(|presence| presence.left.as_ref());
    person.inferred_end = last_left
        .filter(|left| person.sessions.is_empty() && left.telling.source == Source::Inferred)
        .map(|left| left.telling.time);
}

fn withdrawn(row: &EmittedRow) -> Withdrawn {
    // Only events of sessions are told apart by their session.
    let session =
        row.session.clone().filter(|_| matches!(row.event, EventType::SessionStarted | EventType::SessionEnded));
    Withdrawn { event: row.event, session, time: row.time, source: row.source }
}
