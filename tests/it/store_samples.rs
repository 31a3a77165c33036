//! Small sample commits, shaped like those of `watch`.

use jiff::{SignedDuration, Timestamp};
use meetwatch::model::event_id::Edge;
use meetwatch::model::{
    ConferenceName, EndpointName, EventId, EventKey, EventType, ParticipantKind, ParticipantName, Provenance,
    SessionName, Source, TargetName,
};
use meetwatch::store::{Commit, ConferenceRow, NewEvent, ParticipantRow, Phase, SessionRow};

/// The instant at which all samples begin.
pub(crate) fn noon() -> Timestamp {
    "2026-01-05T12:00:00.123456789Z".parse().unwrap()
}

/// Returns the time so many seconds after [`noon`].
pub(crate) fn at(seconds: i64) -> Timestamp {
    noon() + SignedDuration::from_secs(seconds)
}

pub(crate) fn conference(id: &str) -> ConferenceName {
    ConferenceName::parse(&format!("conferenceRecords/{id}")).unwrap()
}

pub(crate) fn endpoint(name: &str) -> EndpointName {
    EndpointName::parse(name).unwrap()
}

pub(crate) fn participant(id: &str, person: &str) -> ParticipantName {
    ParticipantName::parse(&format!("conferenceRecords/{id}/participants/{person}")).unwrap()
}

pub(crate) fn session(id: &str, person: &str, session: &str) -> SessionName {
    SessionName::parse(&format!("conferenceRecords/{id}/participants/{person}/participantSessions/{session}")).unwrap()
}

pub(crate) fn conference_row(id: &str, last_sequence: u64) -> ConferenceRow {
    ConferenceRow {
        name: conference(id),
        space: None,
        meeting_code: None,
        start: noon(),
        end: None,
        phase: Phase::Live,
        targets: vec![TargetName::parse("board").unwrap(), TargetName::parse("all").unwrap()],
        identity: None,
        last_sequence,
        present: 0,
        last_listed: None,
        backfilled_to: None,
        final_read_due: None,
    }
}

pub(crate) fn participant_row(id: &str, person: &str) -> ParticipantRow {
    ParticipantRow {
        name: participant(id, person),
        kind: ParticipantKind::Anonymous,
        user: None,
        display_name: Some("Ada".into()),
        earliest_start: Some(noon()),
        latest_end: None,
        email: None,
        affiliation: None,
        last_seen: None,
        seen_by: None,
    }
}

pub(crate) fn session_row(id: &str, person: &str, name: &str) -> SessionRow {
    SessionRow { name: session(id, person, name), start: noon(), end: None }
}

/// Whether a body is the placeholder that [`event`] uses.
pub(crate) fn is_stand_in(body: &serde_json::Value) -> bool {
    *body == serde_json::json!({"schema": 1, "sequence": body["sequence"]})
}

/// Returns the `sequence`th event of a conference: a join.
pub(crate) fn event(id: &str, sequence: u64, owed_to: &[&str]) -> NewEvent {
    let person = participant(id, &format!("p{sequence}"));
    let key = EventKey {
        event: EventType::ParticipantJoined,
        resource: person.as_str(),
        edge: Edge::Time(noon()),
        source: Source::Google,
        n: 0,
    };
    let id_of_event = key.id();
    NewEvent {
        id: id_of_event,
        event: EventType::ParticipantJoined,
        conference: Some(conference(id)),
        participant: Some(person),
        session: None,
        sequence: Some(sequence),
        time: noon(),
        observed_at: at(1),
        provenance: Provenance::Observed,
        source: Source::Google,
        n: 0,
        takes_back: None,
        body: format!(r#"{{"schema":1,"sequence":{sequence}}}"#).into(),
        owed_to: owed_to.iter().map(|name| endpoint(name)).collect(),
    }
}

/// Returns a retraction of `earlier`, as the `sequence`th event, that no endpoint selects.
pub(crate) fn retraction(id: &str, sequence: u64, earlier: &EventId) -> NewEvent {
    let about = conference(id);
    let key = EventKey {
        event: EventType::EventRetracted,
        resource: about.as_str(),
        edge: Edge::Name(earlier.as_str()),
        source: Source::Google,
        n: 0,
    };
    NewEvent {
        id: key.id(),
        event: EventType::EventRetracted,
        takes_back: Some(earlier.clone()),
        ..event(id, sequence, &[])
    }
}

/// Returns a gap without a conference.
pub(crate) fn lone_gap(seconds: i64, owed_to: &[&str]) -> NewEvent {
    let key = EventKey {
        event: EventType::WatchGap,
        resource: "board",
        edge: Edge::Time(at(seconds)),
        source: Source::Inferred,
        n: 0,
    };
    NewEvent {
        id: key.id(),
        event: EventType::WatchGap,
        conference: None,
        participant: None,
        sequence: None,
        ..event("none", 1, owed_to)
    }
}

/// Returns a commit of these events with the row of their conference.
pub(crate) fn commit(id: &str, events: Vec<NewEvent>) -> Commit {
    let last = events.last().and_then(|event| event.sequence).unwrap_or(0);
    Commit { conference: Some(conference_row(id, last)), events, ..Commit::default() }
}

/// Returns a commit of joins with these sequence numbers, for these endpoints.
pub(crate) fn joins(id: &str, sequences: std::ops::RangeInclusive<u64>, owed_to: &[&str]) -> Commit {
    commit(id, sequences.map(|sequence| event(id, sequence, owed_to)).collect())
}
