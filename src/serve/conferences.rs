//! `/api/v1/conferences` and `/api/v1/events`: who is where, and the log. Both name people.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::ask::{NoParameters, Parameters, Refusal, missing, unreadable};
use super::routes::Shared;
use crate::model::{ConferenceName, EventId, MeetingCode, ParticipantName, SpaceName, TargetName, UserName};
use crate::store::{ConferenceRow, LogRow, ParticipantRow, StoredConference};

/// The conferences that are live, or ended and not read for the last time, by name.
#[derive(Debug, Serialize)]
pub(super) struct Conferences {
    conferences: Vec<Conference>,
}

#[derive(Debug, Serialize)]
struct Conference {
    #[serde(flatten)]
    head: Head,
    present: u32,
    last_sequence: u64,
    last_listed: Option<Timestamp>,
    /// Who has a session that is open.
    participants: Vec<Present>,
}

/// Which conference it is, and how far it is, before who is or was there.
#[derive(Debug, Serialize)]
pub(super) struct Head {
    name: ConferenceName,
    space: Option<SpaceName>,
    meeting_code: Option<MeetingCode>,
    targets: Vec<TargetName>,
    start_time: Timestamp,
    end_time: Option<Timestamp>,
    phase: &'static str,
}

impl From<ConferenceRow> for Head {
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
struct Present {
    name: ParticipantName,
    kind: &'static str,
    user: Option<UserName>,
    display_name: Option<Box<str>>,
    email: Option<Box<str>>,
}

impl From<ParticipantRow> for Present {
    fn from(row: ParticipantRow) -> Self {
        let ParticipantRow { name, kind, user, display_name, email, .. } = row;
        Self { name, kind: kind.as_str(), user, display_name, email }
    }
}

impl From<StoredConference> for Conference {
    fn from(stored: StoredConference) -> Self {
        let open = stored.sessions.iter().filter(|session| session.end.is_none());
        let there: BTreeSet<ParticipantName> = open.map(|session| session.name.participant()).collect();
        let people = stored.participants.into_iter().filter(|row| there.contains(&row.name));
        let ConferenceRow { present, last_sequence, last_listed, .. } = stored.conference;
        Self {
            head: Head::from(stored.conference),
            present,
            last_sequence,
            last_listed,
            participants: people.map(Present::from).collect(),
        }
    }
}

pub(super) async fn conferences(
    State(shared): State<Arc<Shared>>,
    _: NoParameters,
) -> Result<Json<Conferences>, Refusal> {
    let stored = shared.desk.store.load_unfinished().await.map_err(|error| unreadable(&error))?;
    Ok(Json(Conferences { conferences: stored.into_iter().map(Conference::from).collect() }))
}

/// A page of the log, the oldest first.
#[derive(Debug, Serialize)]
pub(super) struct Log {
    events: Vec<Entry>,
    /// `after` for the next page; the same as before when there is nothing new.
    next: u64,
}

#[derive(Debug, Serialize)]
struct Entry {
    position: u64,
    /// The event that corrected or retracted it.
    taken_back_by: Option<EventId>,
    event: Box<RawValue>,
}

pub(super) async fn events(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Json<Log>, Refusal> {
    let mut asked = Parameters::of(&uri);
    let after =
        asked.one("after", "a position in the log", |text| text.parse().ok().filter(|n| i64::try_from(*n).is_ok()))?;
    let (after, limit) = (after.unwrap_or(0), asked.limit()?);
    asked.finish()?;
    let rows = shared.desk.store.log_after(after, limit).await.map_err(|error| unreadable(&error))?;
    let next = rows.last().map_or(after, |last| last.position);
    let events: Option<Vec<Entry>> = rows.into_iter().map(entry).collect();
    Ok(Json(Log { events: events.ok_or_else(|| missing("an event in the log cannot be read"))?, next }))
}

fn entry(row: LogRow) -> Option<Entry> {
    let event = RawValue::from_string(row.body.into()).ok()?;
    Some(Entry { position: row.position, taken_back_by: row.taken_back_by, event })
}
