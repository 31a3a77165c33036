//! `/api/v1/conferenceRecords/{id}/attendance` and `/api/v1/attendance`: who was present, when, and for how long.
//! Computed from the event log with all corrections applied. Both name people.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Serialize;

use super::conferences::ConferenceHeader;
use crate::model::attendance::{Attendee, PresenceInterval, Presences, attendees};
use crate::model::{ConferenceName, EventType, ParticipantName, ParticipantRef};
use crate::serve::extract::{NoParameters, PathSegment, QueryParameters};
use crate::serve::names::check_target;
use crate::serve::refusal::Refusal;
use crate::serve::state::ServerState;
use crate::store::{ConferenceQuery, ParticipantRow, StoredConference};

/// The largest number of conferences in one response. A request for an interval with more is refused.
const MAX_CONFERENCES: usize = 200;

pub(super) fn router() -> Router<Arc<ServerState>> {
    Router::new()
        .route("/api/v1/conferenceRecords/{id}/attendance", get(of_conference))
        .route("/api/v1/attendance", get(of_interval))
}

/// The attendance of one conference.
#[derive(Debug, Serialize)]
struct ConferenceAttendance {
    #[serde(flatten)]
    header: ConferenceHeader,
    /// The largest number of participants present at one time.
    peak: u32,
    total: usize,
    /// By first join.
    participants: Vec<Attendee>,
}

impl ConferenceAttendance {
    fn of(stored: StoredConference, now: Timestamp) -> Self {
        let mut intervals = presence_intervals(&stored);
        let mut sessions: BTreeMap<ParticipantName, u32> = BTreeMap::new();
        for session in &stored.sessions {
            *sessions.entry(session.name.participant()).or_default() += 1;
        }
        let presences = stored.participants.into_iter().map(|row| Presences {
            intervals: intervals.remove(&row.name).unwrap_or_default(),
            sessions: sessions.get(&row.name).copied().unwrap_or_default(),
            participant: reference(row),
        });
        let (peak, participants) = attendees(presences.collect(), Some(now));
        Self { header: ConferenceHeader::from(stored.conference), peak, total: participants.len(), participants }
    }
}

fn reference(row: ParticipantRow) -> ParticipantRef {
    let ParticipantRow { name, kind, user, display_name, email, affiliation, .. } = row;
    ParticipantRef { name, kind, user, display_name, email, affiliation }
}

/// Returns the intervals of each participant in order. Intervals of one participant do not touch, so the joins and
/// leaves that were not taken back pair up in the order of time.
fn presence_intervals(stored: &StoredConference) -> BTreeMap<ParticipantName, Vec<PresenceInterval>> {
    let mut edges: BTreeMap<ParticipantName, (Vec<Timestamp>, Vec<Timestamp>)> = BTreeMap::new();
    for emitted in stored.emitted.iter().filter(|emitted| emitted.stands) {
        let Some(participant) = &emitted.participant else { continue };
        let (joined, left) = edges.entry(participant.clone()).or_default();
        match emitted.event {
            EventType::ParticipantJoined => joined.push(emitted.time),
            EventType::ParticipantLeft => left.push(emitted.time),
            _ => {}
        }
    }
    let paired = edges.into_iter().map(|(participant, (mut joined, mut left))| {
        joined.sort_unstable();
        left.sort_unstable();
        let mut left = left.into_iter();
        (participant, joined.into_iter().map(|joined| (joined, left.next())).collect())
    });
    paired.collect()
}

async fn of_conference(
    State(state): State<Arc<ServerState>>,
    PathSegment(id): PathSegment,
    _: NoParameters,
) -> Result<Json<ConferenceAttendance>, Refusal> {
    let name = ConferenceName::parse(&format!("conferenceRecords/{id}"));
    let name = name.map_err(|_| Refusal::bad_request("the path must be conferenceRecords/{id}/attendance"))?;
    let found = state.api.store.conference(name).await.map_err(|error| Refusal::store_unreadable(&error))?;
    let stored = found.ok_or_else(|| Refusal::not_found("no such conference in the store"))?;
    Ok(Json(ConferenceAttendance::of(stored, state.api.clock.now().wall)))
}

/// The attendance of several conferences, in the order of their start.
#[derive(Debug, Serialize)]
struct AttendanceList {
    conferences: Vec<ConferenceAttendance>,
}

async fn of_interval(State(state): State<Arc<ServerState>>, uri: Uri) -> Result<Json<AttendanceList>, Refusal> {
    let mut query = QueryParameters::of(&uri);
    let target = query.target()?;
    let (from, until) = (query.time("from")?, query.time("to")?);
    query.finish()?;
    let (Some(from), Some(until)) = (from, until) else {
        return Err(Refusal::bad_request("`from` and `to` are required"));
    };
    if from >= until {
        return Err(Refusal::bad_request("`from` must be before `to`"));
    }
    if let Some(target) = &target {
        check_target(&state, target).await?;
    }
    let span = ConferenceQuery { target, from, until, limit: MAX_CONFERENCES + 1 };
    let stored = state.api.store.conferences(span).await.map_err(|error| Refusal::store_unreadable(&error))?;
    if stored.len() > MAX_CONFERENCES {
        let message =
            format!("more than {MAX_CONFERENCES} conferences started in this interval; request a shorter one");
        return Err(Refusal::bad_request(message));
    }
    let now = state.api.clock.now().wall;
    Ok(Json(AttendanceList {
        conferences: stored.into_iter().map(|stored| ConferenceAttendance::of(stored, now)).collect(),
    }))
}
