//! Pure: which rows and events have to be committed so that the store knows what a roster knows.

use std::sync::Arc;

use jiff::Timestamp;

use super::roster::{EmittedEvent, ParticipantState, Roster, SessionState};
use crate::model::{IdentityName, ParticipantName, Route, TargetName};
use crate::store::{Commit, ConferenceRow, NewEvent, ParticipantRow, Phase, SessionRow};

/// What the rows need beside the roster.
#[derive(Debug, Clone, Copy)]
pub struct CommitContext<'a> {
    pub phase: Phase,
    pub identity: &'a IdentityName,
    pub targets: &'a [TargetName],
    pub routes: &'a [Route],
    pub backfilled_to: Option<Timestamp>,
    pub final_read_due: Option<Timestamp>,
}

/// An event could not be written as JSON. Nothing in an event can fail to be written, so this is a defect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an event could not be written as JSON: {0}")]
pub struct UnwritableEvent(String);

/// Returns the commit that takes the store from one roster to the next: the rows that differ, and the events with the
/// endpoints that get them.
///
/// # Errors
/// [`UnwritableEvent`] if an event has no JSON form.
pub fn commit(
    before: Option<&Roster>,
    after: &Roster,
    emitted: Vec<EmittedEvent>,
    context: &CommitContext<'_>,
) -> Result<Commit, UnwritableEvent> {
    let mut commit = Commit { conference: Some(conference(after, context)), ..Commit::default() };
    for (name, person) in after.participants() {
        let known = before.and_then(|before| before.participants().get(name));
        if known.is_some_and(|known| Arc::ptr_eq(known, person)) {
            continue;
        }
        let row = participant(name, person);
        if known.is_none_or(|known| participant(name, known) != row) {
            commit.participants.push(row);
        }
        let sessions = person.sessions().iter().filter(|session| {
            let old = known.and_then(|known| known.sessions().iter().find(|old| old.name == session.name));
            old.is_none_or(|old| (old.start, old.end) != (session.start, session.end))
        });
        commit.sessions.extend(sessions.map(session_row));
    }
    commit.events =
        emitted.into_iter().map(|emitted| event(emitted, context.targets, context.routes)).collect::<Result<_, _>>()?;
    Ok(commit)
}

/// Returns the row of the conference itself.
#[must_use]
pub fn conference(roster: &Roster, context: &CommitContext<'_>) -> ConferenceRow {
    let record = roster.record();
    ConferenceRow {
        name: record.name.clone(),
        space: record.space.clone(),
        meeting_code: record.meeting_code.clone(),
        start: record.start,
        end: record.end,
        phase: context.phase,
        targets: context.targets.to_vec(),
        identity: Some(context.identity.clone()),
        last_sequence: roster.sequence(),
        present: roster.present(),
        last_listed: roster.listed().map(|listed| listed.at),
        backfilled_to: context.backfilled_to,
        final_read_due: context.final_read_due,
    }
}

/// Returns an event as it is stored: with its JSON, which never changes afterwards, and the endpoints that get it.
///
/// # Errors
/// [`UnwritableEvent`] if the event has no JSON form.
pub fn event(emitted: EmittedEvent, targets: &[TargetName], routes: &[Route]) -> Result<NewEvent, UnwritableEvent> {
    let EmittedEvent { mut event, source, n, takes_back } = emitted;
    event.targets = targets.to_vec();
    let body = serde_json::to_string(&event).map_err(|error| UnwritableEvent(error.to_string()))?;
    let owed_to = routes.iter().filter(|route| route.wants(&event)).map(|route| route.endpoint.clone()).collect();
    Ok(NewEvent {
        id: event.id,
        event: event.event,
        conference: event.conference.map(|conference| conference.name),
        participant: event.participant.map(|participant| participant.name),
        session: event.session.map(|session| session.name),
        sequence: event.sequence,
        time: event.time,
        observed_at: event.observed_at,
        provenance: event.provenance,
        source,
        n,
        takes_back,
        body: body.into(),
        owed_to,
    })
}

fn participant(name: &ParticipantName, person: &ParticipantState) -> ParticipantRow {
    ParticipantRow {
        name: name.clone(),
        kind: person.kind,
        user: person.user.clone(),
        display_name: person.display_name.clone(),
        earliest_start: person.earliest_start,
        latest_end: person.latest_end,
        email: person.email.clone(),
        affiliation: person.affiliation,
        last_seen: person.last_seen,
        seen_by: person.seen_by().filter(|_| person.is_present()).cloned(),
    }
}

fn session_row(session: &SessionState) -> SessionRow {
    SessionRow { name: session.name.clone(), start: session.start, end: session.end }
}
