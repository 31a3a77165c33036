//! `/api/v1/conferences`: the conferences that are not closed, with who is present. Names people.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Serialize;

use crate::model::{
    ConferenceName, EventType, MeetingCode, ParticipantName, Provenance, SpaceName, TargetName, UserName,
};
use crate::serve::extract::QueryParameters;
use crate::serve::names::check_target;
use crate::serve::refusal::Refusal;
use crate::serve::state::ServerState;
use crate::store::{ConferenceRow, ConferenceSelector, EmittedRow, ParticipantRow, StoredConference};

pub(super) fn router() -> Router<Arc<ServerState>> {
    Router::new().route("/api/v1/conferences", get(list))
}

/// The conferences that are live, and those that ended and whose final read is outstanding, by name.
#[derive(Debug, Serialize)]
struct ConferenceList {
    conferences: Vec<ConferenceView>,
}

#[derive(Debug, Serialize)]
struct ConferenceView {
    #[serde(flatten)]
    header: ConferenceHeader,
    present: u32,
    last_sequence: u64,
    last_listed: Option<Timestamp>,
    /// The participants whose last event is a join, and those with an open session of whom nothing was told yet.
    participants: Vec<PresentParticipant>,
}

/// The fields of a conference that do not depend on its participants.
#[derive(Debug, Serialize)]
pub(super) struct ConferenceHeader {
    name: ConferenceName,
    space: Option<SpaceName>,
    meeting_code: Option<MeetingCode>,
    targets: Vec<TargetName>,
    start_time: Timestamp,
    end_time: Option<Timestamp>,
    phase: &'static str,
}

impl From<ConferenceRow> for ConferenceHeader {
    fn from(row: ConferenceRow) -> Self {
        Self {
            name: row.name,
            space: row.space,
            meeting_code: row.meeting_code,
            targets: row.targets,
            start_time: row.start,
            end_time: row.end.map(|(end, _)| end),
            phase: row.phase.as_str(),
        }
    }
}

#[derive(Debug, Serialize)]
struct PresentParticipant {
    name: ParticipantName,
    kind: &'static str,
    user: Option<UserName>,
    display_name: Option<Box<str>>,
    email: Option<Box<str>>,
    /// When they joined; `null` while their join was not told yet.
    since: Option<Timestamp>,
    /// How the join is known.
    provenance: Option<&'static str>,
}

impl PresentParticipant {
    fn new(row: ParticipantRow, join: Option<(Timestamp, Provenance)>) -> Self {
        let ParticipantRow { name, kind, user, display_name, email, .. } = row;
        let (since, provenance) = (join.map(|(time, _)| time), join.map(|(_, provenance)| provenance.as_str()));
        Self { name, kind: kind.as_str(), user, display_name, email, since, provenance }
    }
}

/// Returns the last join or leave of each participant that was told and not taken back, with when it was and how it is known
/// if it is a join. Of a join and a leave at one time the leave is the last.
fn last_edges(emitted: &[EmittedRow]) -> BTreeMap<&ParticipantName, Option<(Timestamp, Provenance)>> {
    let mut last: BTreeMap<&ParticipantName, &EmittedRow> = BTreeMap::new();
    let is_edge = |told: &&EmittedRow| matches!(told.event, EventType::ParticipantJoined | EventType::ParticipantLeft);
    let order = |told: &EmittedRow| (told.time, told.event == EventType::ParticipantLeft);
    for told in emitted.iter().filter(|told| told.stands).filter(is_edge) {
        let Some(participant) = &told.participant else { continue };
        let known = last.entry(participant).or_insert(told);
        if order(told) >= order(known) {
            *known = told;
        }
    }
    let join = |told: &EmittedRow| (told.event == EventType::ParticipantJoined).then_some((told.time, told.provenance));
    last.into_iter().map(|(participant, told)| (participant, join(told))).collect()
}

impl From<StoredConference> for ConferenceView {
    fn from(stored: StoredConference) -> Self {
        let open = stored.sessions.iter().filter(|session| session.end.is_none());
        let with_open_session: BTreeSet<ParticipantName> = open.map(|session| session.name.participant()).collect();
        let edges = last_edges(&stored.emitted);
        // As `present` is counted: by what was told. A session may be open of which the end could not be read.
        let participants = stored.participants.into_iter().filter_map(|row| {
            let join = edges.get(&row.name).copied();
            let is_present = join.map_or_else(|| with_open_session.contains(&row.name), |join| join.is_some());
            is_present.then(|| PresentParticipant::new(row, join.flatten()))
        });
        let ConferenceRow { present, last_sequence, last_listed, .. } = stored.conference;
        Self {
            header: ConferenceHeader::from(stored.conference),
            present,
            last_sequence,
            last_listed,
            participants: participants.collect(),
        }
    }
}

async fn list(State(state): State<Arc<ServerState>>, uri: Uri) -> Result<Json<ConferenceList>, Refusal> {
    let mut query = QueryParameters::of(&uri);
    let (target, conference) = (query.target()?, query.conference()?);
    query.finish()?;
    if let Some(target) = &target {
        check_target(&state, target).await?;
    }
    let is_meant = |row: &ConferenceRow| {
        target.as_ref().is_none_or(|named| row.targets.iter().any(|target| target.answers_to(named)))
            && match &conference {
                None => true,
                Some(ConferenceSelector::Name(name)) => row.name == *name,
                Some(ConferenceSelector::Code(code)) => row.meeting_code.as_ref() == Some(code),
            }
    };
    let stored = state.api.store.load_unfinished().await.map_err(|error| Refusal::store_unreadable(&error))?;
    let meant = stored.into_iter().filter(|stored| is_meant(&stored.conference));
    Ok(Json(ConferenceList { conferences: meant.map(ConferenceView::from).collect() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ParticipantKind, SessionName, Source};
    use crate::store::{Phase, SessionRow};

    fn time(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn name(person: &str) -> ParticipantName {
        ParticipantName::parse(&format!("conferenceRecords/c/participants/{person}")).unwrap()
    }

    fn person(person: &str) -> ParticipantRow {
        ParticipantRow {
            name: name(person),
            kind: ParticipantKind::Anonymous,
            user: None,
            display_name: None,
            earliest_start: None,
            latest_end: None,
            email: None,
            affiliation: None,
            seen_by: None,
            last_seen: None,
        }
    }

    fn session(person: &str) -> SessionRow {
        let name = SessionName::parse(&format!("{}/participantSessions/s", name(person))).unwrap();
        SessionRow { name, start: time(1), end: None }
    }

    fn told(person: &str, event: EventType, at: i64, provenance: Provenance) -> EmittedRow {
        EmittedRow {
            event,
            participant: Some(name(person)),
            session: None,
            time: time(at),
            observed_at: time(at),
            provenance,
            source: Source::Google,
            n: 0,
            sequence: 1,
            stands: true,
        }
    }

    /// Returns the names, times and provenances of those who are shown as present.
    fn shown(
        people: &[&str],
        sessions: &[&str],
        emitted: Vec<EmittedRow>,
    ) -> Vec<(String, Option<i64>, Option<&'static str>)> {
        let conference = ConferenceRow {
            name: ConferenceName::parse("conferenceRecords/c").unwrap(),
            space: None,
            meeting_code: None,
            start: time(0),
            end: None,
            phase: Phase::Live,
            targets: Vec::new(),
            identity: None,
            last_sequence: 1,
            present: 1,
            last_listed: None,
            backfilled_to: None,
            final_read_due: None,
        };
        let view = ConferenceView::from(StoredConference {
            conference,
            participants: people.iter().map(|name| person(name)).collect(),
            sessions: sessions.iter().map(|name| session(name)).collect(),
            emitted,
        });
        let id = |name: &ParticipantName| name.as_str().rsplit('/').next().unwrap().to_owned();
        let row = |row: PresentParticipant| (id(&row.name), row.since.map(Timestamp::as_second), row.provenance);
        view.participants.into_iter().map(row).collect()
    }

    use EventType::{ParticipantJoined, ParticipantLeft};
    use Provenance::{Inferred, Observed};

    #[test]
    fn whoever_was_told_to_have_joined_is_shown_although_no_session_could_be_read() {
        let emitted = vec![told("a", ParticipantJoined, 5, Inferred)];
        assert_eq!(shown(&["a"], &[], emitted), [("a".to_owned(), Some(5), Some("inferred"))]);
    }

    #[test]
    fn whoever_was_told_to_have_left_is_not_shown_although_a_session_is_open() {
        let mut emitted = vec![told("a", ParticipantJoined, 5, Observed), told("a", ParticipantLeft, 5, Inferred)];
        assert_eq!(shown(&["a"], &["a"], emitted.clone()), []);
        emitted.reverse();
        assert_eq!(shown(&["a"], &["a"], emitted.clone()), [], "a leave may be told before its join");
        emitted.push(told("a", ParticipantJoined, 9, Observed));
        assert_eq!(shown(&["a"], &["a"], emitted.clone()), [("a".to_owned(), Some(9), Some("observed"))]);
        emitted[2].stands = false;
        assert_eq!(shown(&["a"], &["a"], emitted), [], "the second join was taken back");
    }

    #[test]
    fn whoever_was_not_told_of_is_shown_with_an_open_session_only() {
        assert_eq!(shown(&["a", "b"], &["a"], Vec::new()), [("a".to_owned(), None, None)]);
    }
}
