//! `/api/v1/conferences`: the conferences that are not closed, with who is present. Names people.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Serialize;

use crate::model::{ConferenceName, MeetingCode, ParticipantName, SpaceName, TargetName, UserName};
use crate::serve::extract::NoParameters;
use crate::serve::refusal::Refusal;
use crate::serve::state::ServerState;
use crate::store::{ConferenceRow, ParticipantRow, StoredConference};

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
}

impl From<ParticipantRow> for PresentParticipant {
    fn from(row: ParticipantRow) -> Self {
        let ParticipantRow { name, kind, user, display_name, email, .. } = row;
        Self { name, kind: kind.as_str(), user, display_name, email }
    }
}

impl From<StoredConference> for ConferenceView {
    fn from(stored: StoredConference) -> Self {
        let open = stored.sessions.iter().filter(|session| session.end.is_none());
        let present_names: BTreeSet<ParticipantName> = open.map(|session| session.name.participant()).collect();
        let participants = stored.participants.into_iter().filter(|row| present_names.contains(&row.name));
        let ConferenceRow { present, last_sequence, last_listed, .. } = stored.conference;
        Self {
            header: ConferenceHeader::from(stored.conference),
            present,
            last_sequence,
            last_listed,
            participants: participants.map(PresentParticipant::from).collect(),
        }
    }
}

async fn list(State(state): State<Arc<ServerState>>, _: NoParameters) -> Result<Json<ConferenceList>, Refusal> {
    let stored = state.api.store.load_unfinished().await.map_err(|error| Refusal::store_unreadable(&error))?;
    Ok(Json(ConferenceList { conferences: stored.into_iter().map(ConferenceView::from).collect() }))
}
