//! `/api/v1/conferenceRecords/{id}/attendance` and `/api/v1/attendance`: who was there, when, and how long, by what the log
//! says with all corrections applied. Both name people.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use jiff::Timestamp;
use serde::Serialize;

use super::ask::{NoParameters, Parameters, Refusal, Segment, bad, missing, unreadable};
use super::conferences::Head;
use super::routes::Shared;
use crate::clock::elapsed;
use crate::model::{ConferenceName, EventType, ParticipantName, ParticipantRef, TargetName, attendance};
use crate::store::{ConferenceQuery, ParticipantRow, StoredConference};

/// How many conferences one answer holds at most. Who asks for more is told, and asks for a shorter time.
const MOST: usize = 200;

/// Who was in a conference.
#[derive(Debug, Serialize)]
pub(super) struct Attended {
    #[serde(flatten)]
    head: Head,
    /// The most people at one time.
    peak: u32,
    total: usize,
    /// By first join.
    participants: Vec<Attendee>,
}

#[derive(Debug, Serialize)]
struct Attendee {
    participant: ParticipantRef,
    first_join: Timestamp,
    /// `null` while the person is there.
    last_leave: Option<Timestamp>,
    /// Until now, for who is there.
    seconds_present: f64,
    sessions: u32,
}

/// From when to when somebody was there; `None`: still.
type Stay = (Timestamp, Option<Timestamp>);

impl Attended {
    fn of(stored: StoredConference, now: Timestamp) -> Self {
        let stays = stays(&stored);
        let mut sessions: BTreeMap<ParticipantName, u32> = BTreeMap::new();
        for session in &stored.sessions {
            *sessions.entry(session.name.participant()).or_default() += 1;
        }
        let mut participants: Vec<Attendee> = stored
            .participants
            .into_iter()
            .filter_map(|row| {
                let (stays, sessions) = (stays.get(&row.name)?, sessions.get(&row.name).copied());
                attendee(row, stays, sessions.unwrap_or_default(), now)
            })
            .collect();
        participants.sort_by(|a, b| (a.first_join, &a.participant.name).cmp(&(b.first_join, &b.participant.name)));
        Self {
            head: Head::from(stored.conference),
            peak: attendance::peak(stays.values().flatten().copied()),
            total: participants.len(),
            participants,
        }
    }
}

fn attendee(row: ParticipantRow, stays: &[Stay], sessions: u32, now: Timestamp) -> Option<Attendee> {
    let ((first_join, _), (_, last_leave)) = (*stays.first()?, *stays.last()?);
    let present: Duration = stays.iter().map(|(joined, left)| elapsed(*joined, left.unwrap_or(now))).sum();
    let ParticipantRow { name, kind, user, display_name, email, affiliation, .. } = row;
    let participant = ParticipantRef { name, kind, user, display_name, email, affiliation };
    Some(Attendee { participant, first_join, last_leave, seconds_present: attendance::seconds(present), sessions })
}

/// When each was there, in order. No two stays of one person touch, so the edges that stand pair off by time.
fn stays(stored: &StoredConference) -> BTreeMap<ParticipantName, Vec<Stay>> {
    let mut edges: BTreeMap<ParticipantName, (Vec<Timestamp>, Vec<Timestamp>)> = BTreeMap::new();
    for told in stored.emitted.iter().filter(|told| told.stands) {
        let Some(participant) = &told.participant else { continue };
        let (joined, left) = edges.entry(participant.clone()).or_default();
        match told.event {
            EventType::ParticipantJoined => joined.push(told.time),
            EventType::ParticipantLeft => left.push(told.time),
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

pub(super) async fn of_conference(
    State(shared): State<Arc<Shared>>,
    Segment(id): Segment,
    _: NoParameters,
) -> Result<Json<Attended>, Refusal> {
    let name = ConferenceName::parse(&format!("conferenceRecords/{id}"));
    let name = name.map_err(|_| bad("the path must be conferenceRecords/{id}/attendance"))?;
    let found = shared.desk.store.conference(name).await.map_err(|error| unreadable(&error))?;
    let stored = found.ok_or_else(|| missing("there is no such conference in the store"))?;
    Ok(Json(Attended::of(stored, shared.desk.clock.now().wall)))
}

/// The attendance of several conferences, by their beginning.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    conferences: Vec<Attended>,
}

pub(super) async fn of_span(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Json<Report>, Refusal> {
    let mut asked = Parameters::of(&uri);
    let target = asked.one("target", "the name of a target", |text| TargetName::parse(text).ok())?;
    let (from, until) = (asked.time("from")?, asked.time("to")?);
    asked.finish()?;
    let (Some(from), Some(until)) = (from, until) else { return Err(bad("say a time: `from` and `to`")) };
    if from >= until {
        return Err(bad("`from` has to lie before `to`"));
    }
    let span = ConferenceQuery { target, from, until, limit: MOST + 1 };
    let stored = shared.desk.store.conferences(span).await.map_err(|error| unreadable(&error))?;
    if stored.len() > MOST {
        return Err(bad(format!("there are more than {MOST} conferences in that time; ask for less of it")));
    }
    let now = shared.desk.clock.now().wall;
    Ok(Json(Report { conferences: stored.into_iter().map(|stored| Attended::of(stored, now)).collect() }))
}
