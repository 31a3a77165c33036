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
    /// The participants with an open session.
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
    fn new(row: ParticipantRow, joins: &BTreeMap<ParticipantName, (Timestamp, Provenance)>) -> Self {
        let join = joins.get(&row.name);
        let ParticipantRow { name, kind, user, display_name, email, .. } = row;
        let (since, provenance) = (join.map(|(time, _)| *time), join.map(|(_, provenance)| provenance.as_str()));
        Self { name, kind: kind.as_str(), user, display_name, email, since, provenance }
    }
}

/// Returns the last join of each participant that was told and not taken back.
fn last_joins(emitted: &[EmittedRow]) -> BTreeMap<ParticipantName, (Timestamp, Provenance)> {
    let mut joins = BTreeMap::new();
    for told in emitted.iter().filter(|told| told.stands && told.event == EventType::ParticipantJoined) {
        let Some(participant) = &told.participant else { continue };
        let join = joins.entry(participant.clone()).or_insert((told.time, told.provenance));
        if told.time >= join.0 {
            *join = (told.time, told.provenance);
        }
    }
    joins
}

impl From<StoredConference> for ConferenceView {
    fn from(stored: StoredConference) -> Self {
        let open = stored.sessions.iter().filter(|session| session.end.is_none());
        let present_names: BTreeSet<ParticipantName> = open.map(|session| session.name.participant()).collect();
        let participants = stored.participants.into_iter().filter(|row| present_names.contains(&row.name));
        let joins = last_joins(&stored.emitted);
        let ConferenceRow { present, last_sequence, last_listed, .. } = stored.conference;
        Self {
            header: ConferenceHeader::from(stored.conference),
            present,
            last_sequence,
            last_listed,
            participants: participants.map(|row| PresentParticipant::new(row, &joins)).collect(),
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
