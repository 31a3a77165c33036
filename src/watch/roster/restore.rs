//! Pure: the roster as it was committed last, from the rows of the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::emit::{GAPS_KEPT, unobserved_before_found};
use super::facts::{EmittedEdge, EmittedPresence};
use super::listing_status::{ListingStatus, Recheck};
use super::participant_state::{ParticipantState, WithdrawnEvent};
use super::session_state::{Emission, SessionState};
use super::{ConferenceState, LastListing, Roster};
use crate::clock::Mono;
use crate::model::{EventType, ParticipantName, Source};
use crate::store::{ConferenceRow, EmittedRow, ParticipantRow, SessionRow, StoredConference};

impl Roster {
    /// Rebuilds the roster from its rows. Absence counts are not stored, and start over.
    #[must_use]
    pub fn restore(stored: StoredConference, now: Mono) -> Self {
        let StoredConference { conference, participants, sessions, emitted: told } = stored;
        let mut participants: BTreeMap<ParticipantName, ParticipantState> =
            participants.into_iter().map(|row| (row.name.clone(), person(row, now))).collect();
        for row in sessions {
            if let Some(person) = participants.get_mut(&row.name.participant()) {
                person.sessions.push(known(row));
            }
        }
        let mut record = record(&conference);
        let end = told.iter().rfind(|row| row.event == EventType::ConferenceEnded);
        let end_outdated = end.is_some_and(|end| end.sequence < conference.last_sequence);
        // A gap is emitted when it ends.
        let gaps = told.iter().filter(|row| row.event == EventType::WatchGap).map(|gap| (gap.time, gap.observed_at));
        let found = told.iter().find(|row| row.event == EventType::ConferenceStarted);
        let found_at = found.map(|row| row.observed_at);
        let unseen = found.and_then(|row| unobserved_before_found(row.time, row.observed_at, row.provenance));
        let mut unobserved: Vec<_> = unseen.into_iter().chain(gaps).collect();
        unobserved.drain(..unobserved.len().saturating_sub(GAPS_KEPT));
        for row in &told {
            match &row.participant {
                None => restore_conference_event(&mut record, row),
                Some(name) => {
                    if let Some(person) = participants.get_mut(name) {
                        restore_event(person, row);
                    }
                }
            }
        }
        for person in participants.values_mut() {
            match_leaves(person);
            restore_doubts(person);
        }
        let rechecks = participants
            .iter()
            .filter(|(_, person)| person.is_inconsistent() && conference.end.is_none())
            .map(|(name, _)| (name.clone(), Recheck::at_once(now)))
            .collect();
        let expected = participants.values().filter(|person| person.is_expected()).count();
        Self {
            record: Arc::new(record),
            participants: Arc::new(participants.into_iter().map(|(name, person)| (name, Arc::new(person))).collect()),
            rechecks: Arc::new(rechecks),
            sequence: conference.last_sequence,
            present: conference.present,
            expected,
            // A conference that was found and never listed counts as listed when it was found.
            listed: conference.last_listed.or(found_at).map(|at| LastListing {
                at,
                mono: None,
                unobserved_after: Duration::ZERO,
                by: conference.identity,
            }),
            unobserved,
            end_outdated,
            disagreements: 0,
        }
    }
}

fn record(row: &ConferenceRow) -> ConferenceState {
    ConferenceState {
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

fn person(row: ParticipantRow, now: Mono) -> ParticipantState {
    ParticipantState {
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
        listing_status: row.seen_by.map_or(ListingStatus::Away, |by| ListingStatus::Listed { by }),
        last_seen: row.last_seen,
        first_seen: now,
        first_sight: None,
        inferred_end: None,
        sessions_incomplete: false,
    }
}

fn known(row: SessionRow) -> SessionState {
    SessionState { name: row.name, start: row.start, end: row.end, started: None, ended: None }
}

fn restore_conference_event(record: &mut ConferenceState, row: &EmittedRow) {
    let emission = Emission { time: row.time, source: row.source, n: row.n };
    match row.event {
        _ if !row.stands => record.withdrawn.push(withdrawn(row)),
        EventType::ConferenceStarted => record.started = Some(emission),
        EventType::ConferenceEnded => record.ended = Some(emission),
        _ => {}
    }
}

/// Restores one event of a participant. Rows are in sequence order, in which a leave may come before its join, so leaves
/// are matched in [`match_leaves`].
fn restore_event(person: &mut ParticipantState, row: &EmittedRow) {
    let emission = Emission { time: row.time, source: row.source, n: row.n };
    let session =
        row.session.as_ref().and_then(|name| person.sessions.iter_mut().find(|session| session.name == *name));
    match row.event {
        _ if !row.stands => person.withdrawn.push(withdrawn(row)),
        EventType::SessionStarted => {
            if let Some(session) = session {
                session.started = Some(emission);
            }
        }
        EventType::SessionEnded => {
            if let Some(session) = session {
                session.ended = Some(emission);
            }
        }
        EventType::ParticipantJoined => {
            person
                .presences
                .push(EmittedPresence { joined: EmittedEdge { emission, session: row.session.clone() }, left: None });
        }
        EventType::ParticipantLeft => {
            // Kept for now as a presence that begins where it ends.
            let edge = EmittedEdge { emission, session: row.session.clone() };
            person.presences.push(EmittedPresence { joined: edge.clone(), left: Some(edge) });
        }
        _ => {}
    }
}

/// Matches each leave with the join before it, and restores what follows from both.
fn match_leaves(person: &mut ParticipantState) {
    let mut edges = std::mem::take(&mut person.presences);
    edges.sort_by_key(|edge| (edge.joined.emission.time, edge.left.is_some()));
    for edge in edges {
        match (edge.left, person.presences.last_mut()) {
            (None, _) => person.presences.push(EmittedPresence { joined: edge.joined, left: None }),
            (left, Some(presence)) => presence.left = left,
            (Some(_), None) => {}
        }
    }
    let last_left = person.presences.last().and_then(|presence| presence.left.as_ref());
    person.inferred_end = last_left
        .filter(|left| person.sessions.is_empty() && left.emission.source == Source::Inferred)
        .map(|left| left.emission.time);
}

/// Restores what was not certain: a leave that does not follow from the sessions was told, or held back, because one of
/// them could not be read; a join that is inferred is told from first sight.
fn restore_doubts(person: &mut ParticipantState) {
    let Some(last) = person.presences.last() else { return };
    if last.joined.emission.source == Source::Inferred {
        person.first_sight = Some(last.joined.emission.time);
    }
    let known_end = person.session_ends().max_by_key(|end| {
        // An open session outlasts all others, and of two ends at one time Google's is preferred.
        (end.is_none(), end.map(|(end, source)| (end, source == Source::Google)))
    });
    let told_end = last.left.as_ref().map(|left| (left.emission.time, left.emission.source));
    if let Some(known_end @ Some(_)) = known_end
        && known_end != told_end
    {
        person.sessions_incomplete = true;
        person.inferred_end = told_end.filter(|(_, source)| *source == Source::Inferred).map(|(end, _)| end);
    }
}

fn withdrawn(row: &EmittedRow) -> WithdrawnEvent {
    // Only events of sessions are distinguished by their session.
    let session =
        row.session.clone().filter(|_| matches!(row.event, EventType::SessionStarted | EventType::SessionEnded));
    WithdrawnEvent { event: row.event, session, time: row.time, source: row.source }
}
