//! `/api/v1/events`: the event log, the oldest first. Names people.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::model::{EventId, EventType, nearest};
use crate::serve::extract::{MAX_LIMIT, QueryParameters};
use crate::serve::names::check_target;
use crate::serve::refusal::Refusal;
use crate::serve::state::ServerState;
use crate::store::{EventFilter, LogRow};

/// The longest person that is looked for, in characters: the longest name that is stored.
const MAX_PERSON_CHARS: usize = 256;

pub(super) fn router() -> Router<Arc<ServerState>> {
    Router::new().route("/api/v1/events", get(list))
}

/// A page of the log, the oldest event first. It may hold fewer events than the limit, even none, before the log's end.
#[derive(Debug, Serialize)]
struct EventPage {
    events: Vec<LoggedEvent>,
    /// The `after` of the next page: every event up to here was looked at.
    next: u64,
}

#[derive(Debug, Serialize)]
struct LoggedEvent {
    position: u64,
    /// The event that corrected or retracted this one.
    taken_back_by: Option<EventId>,
    event: Box<RawValue>,
}

impl LoggedEvent {
    /// Returns `None` if the stored body is not JSON.
    fn from_row(row: LogRow) -> Option<Self> {
        let event = RawValue::from_string(row.body.into()).ok()?;
        Some(Self { position: row.position, taken_back_by: row.taken_back_by, event })
    }
}

async fn list(State(state): State<Arc<ServerState>>, uri: Uri) -> Result<Json<EventPage>, Refusal> {
    let filter = filter(&uri)?;
    if let Some(target) = &filter.target {
        check_target(&state, target).await?;
    }
    let page = state.api.store.log(filter).await.map_err(|error| Refusal::store_unreadable(&error))?;
    let events: Option<Vec<LoggedEvent>> = page.rows.into_iter().map(LoggedEvent::from_row).collect();
    let events = events.ok_or_else(|| Refusal::not_found("an event in the log is not valid JSON"))?;
    Ok(Json(EventPage { events, next: page.next }))
}

fn filter(uri: &Uri) -> Result<EventFilter, Refusal> {
    let mut query = QueryParameters::of(uri);
    let after =
        query.one("after", "a position in the log", |text| text.parse().ok().filter(|n| i64::try_from(*n).is_ok()))?;
    let tail = query.one("tail", &format!("a number from 0 to {MAX_LIMIT}"), |text| {
        text.parse().ok().filter(|tail| *tail <= MAX_LIMIT)
    })?;
    let mut types = Vec::new();
    for name in query.all("type") {
        types.push(event_type(&name)?);
    }
    let filter = EventFilter {
        after: after.unwrap_or(0),
        before: None,
        conference: query.conference()?,
        target: query.target()?,
        person: query.one("person", "a name, an address, users/… or a participant's name", |text| {
            (1..=MAX_PERSON_CHARS).contains(&text.chars().count()).then(|| text.to_owned())
        })?,
        types,
        from: query.time("from")?,
        until: query.time("to")?,
        limit: query.limit()?,
        newest: tail.is_some(),
    };
    query.finish()?;
    Ok(EventFilter { limit: tail.unwrap_or(filter.limit), ..filter })
}

fn event_type(name: &str) -> Result<EventType, Refusal> {
    EventType::parse(name).ok_or_else(|| {
        let names = EventType::ALL.map(EventType::as_str);
        let meant = nearest(name, names).map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
        Refusal::bad_request(format!("`type` must be one of {}{meant}", names.join(", ")))
    })
}
