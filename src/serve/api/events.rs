//! `/api/v1/events`: the event log, the oldest first. Names people.

use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::model::EventId;
use crate::serve::extract::QueryParameters;
use crate::serve::refusal::Refusal;
use crate::serve::state::ServerState;
use crate::store::LogRow;

pub(super) fn router() -> Router<Arc<ServerState>> {
    Router::new().route("/api/v1/events", get(list))
}

/// A page of the log, the oldest event first.
#[derive(Debug, Serialize)]
struct EventPage {
    events: Vec<LoggedEvent>,
    /// The `after` of the next page; equal to that of this page if there is nothing new.
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
    let mut query = QueryParameters::of(&uri);
    let after =
        query.one("after", "a position in the log", |text| text.parse().ok().filter(|n| i64::try_from(*n).is_ok()))?;
    let (after, limit) = (after.unwrap_or(0), query.limit()?);
    query.finish()?;
    let rows = state.api.store.log_after(after, limit).await.map_err(|error| Refusal::store_unreadable(&error))?;
    let next = rows.last().map_or(after, |last| last.position);
    let events: Option<Vec<LoggedEvent>> = rows.into_iter().map(LoggedEvent::from_row).collect();
    let events = events.ok_or_else(|| Refusal::not_found("an event in the log is not valid JSON"))?;
    Ok(Json(EventPage { events, next }))
}
