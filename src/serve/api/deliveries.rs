//! `/api/v1/deliveries`: deliveries with their state and attempts, and replaying them.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::model::{ConferenceName, EndpointName, EventId};
use crate::serve::extract::{NoParameters, PathSegment, QueryParameters, json_object};
use crate::serve::names::check_endpoint;
use crate::serve::refusal::Refusal;
use crate::serve::state::ServerState;
use crate::store::{
    DeliveryDetail, DeliveryFilter, DeliveryId, DeliveryPage, DeliveryRow, DeliveryState, Replay, StoredAttempt,
};

pub(super) fn router() -> Router<Arc<ServerState>> {
    Router::new()
        .route("/api/v1/deliveries", get(list))
        .route("/api/v1/deliveries/replay", post(replay))
        .route("/api/v1/deliveries/{id}", get(show))
}

/// A page of deliveries, the newest first.
#[derive(Debug, Serialize)]
pub(super) struct DeliveryList {
    deliveries: Vec<DeliveryView>,
    /// The `before` of the next page; `null` on the last one.
    next: Option<i64>,
}

/// The current state of one delivery.
#[derive(Debug, Serialize)]
struct DeliveryView {
    id: i64,
    endpoint: EndpointName,
    event: EventId,
    r#type: &'static str,
    conference: Option<ConferenceName>,
    sequence: Option<u64>,
    state: &'static str,
    owed_at: Timestamp,
    due_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    attempts: u32,
    reason: Option<String>,
    /// The id of the batch that contains it.
    batch: Option<String>,
}

/// One delivery with its attempts and its event.
#[derive(Debug, Serialize)]
struct DeliveryWithAttempts {
    delivery: DeliveryView,
    attempts: Vec<AttemptView>,
    /// As it is in the log, before redaction.
    event: Box<RawValue>,
}

#[derive(Debug, Serialize)]
struct AttemptView {
    number: u32,
    began_at: Timestamp,
    seconds: f64,
    status: Option<u16>,
    reason: Option<String>,
    answer: Option<String>,
}

impl From<DeliveryPage> for DeliveryList {
    fn from(page: DeliveryPage) -> Self {
        let deliveries = page.deliveries.into_iter().map(DeliveryView::from).collect();
        Self { deliveries, next: page.next.map(|next| next.0) }
    }
}

impl From<DeliveryRow> for DeliveryView {
    fn from(row: DeliveryRow) -> Self {
        let outstanding = matches!(row.state, DeliveryState::Pending | DeliveryState::Leased);
        Self {
            id: row.delivery.0,
            endpoint: row.endpoint,
            event: row.event,
            r#type: row.event_type.as_str(),
            conference: row.conference,
            sequence: row.sequence,
            state: row.state.as_str(),
            owed_at: row.owed_at,
            due_at: outstanding.then_some(row.due_at),
            finished_at: row.finished_at,
            attempts: row.attempts,
            reason: row.reason,
            batch: row.batch,
        }
    }
}

impl From<StoredAttempt> for AttemptView {
    fn from(attempt: StoredAttempt) -> Self {
        let StoredAttempt { number, began_at, duration, status, reason, answer } = attempt;
        Self { number, began_at, seconds: duration.as_secs_f64(), status, reason, answer }
    }
}

async fn list(State(state): State<Arc<ServerState>>, uri: Uri) -> Result<Json<DeliveryList>, Refusal> {
    let filter = filter(&uri)?;
    if let Some(endpoint) = &filter.endpoint {
        check_endpoint(&state, endpoint).await?;
    }
    let page = state.api.store.list_deliveries(filter).await.map_err(|error| Refusal::store_unreadable(&error))?;
    Ok(Json(page.into()))
}

fn filter(uri: &Uri) -> Result<DeliveryFilter, Refusal> {
    let mut query = QueryParameters::of(uri);
    let mut states = Vec::new();
    for name in query.all("state") {
        let message = || format!("`state` must be one of {}", DeliveryState::ALL.map(DeliveryState::as_str).join(", "));
        states.push(DeliveryState::parse(&name).ok_or_else(|| Refusal::bad_request(message()))?);
    }
    let filter = DeliveryFilter {
        endpoint: query.endpoint()?,
        states,
        conference: query.conference()?,
        event: query.one("event", "the id of an event, evt_…", EventId::parse)?,
        from: query.time("from")?,
        until: query.time("to")?,
        before: before(&mut query)?,
        limit: query.limit()?,
    };
    query.finish()?;
    Ok(filter)
}

/// Takes the cursor of a page.
pub(super) fn before(query: &mut QueryParameters) -> Result<Option<DeliveryId>, Refusal> {
    query.one("before", "the id of a delivery", |text| text.parse().ok().map(DeliveryId))
}

async fn show(
    State(state): State<Arc<ServerState>>,
    PathSegment(id): PathSegment,
    _: NoParameters,
) -> Result<Json<DeliveryWithAttempts>, Refusal> {
    let id = id.parse().map(DeliveryId).map_err(|_| Refusal::bad_request("the id of a delivery must be an integer"))?;
    let found = state.api.store.delivery(id).await.map_err(|error| Refusal::store_unreadable(&error))?;
    let DeliveryDetail { row, attempts, body } = found.ok_or_else(|| Refusal::not_found("no such delivery"))?;
    let event = RawValue::from_string(body.into())
        .map_err(|_| Refusal::not_found("the event of this delivery is not valid JSON"))?;
    let attempts = attempts.into_iter().map(AttemptView::from).collect();
    Ok(Json(DeliveryWithAttempts { delivery: row.into(), attempts, event }))
}

/// What to replay: one delivery; all dead ones of an endpoint; or all done, dead and expired ones of an endpoint that were
/// enqueued in an interval.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ReplayRequest {
    One(ReplayOne),
    Dead(ReplayDead),
    Interval(ReplayInterval),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayOne {
    delivery: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayDead {
    endpoint: EndpointName,
    dead: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayInterval {
    endpoint: EndpointName,
    from: Timestamp,
    to: Timestamp,
}

/// How many deliveries are pending again.
#[derive(Debug, Serialize)]
struct Replayed {
    replayed: u64,
}

async fn replay(
    State(state): State<Arc<ServerState>>,
    _: NoParameters,
    body: Bytes,
) -> Result<Json<Replayed>, Refusal> {
    let replay = parse_replay(&body)?;
    let api = &state.api;
    if let Replay::Dead(endpoint) | Replay::Range { endpoint, .. } = &replay {
        check_endpoint(&state, endpoint).await?;
    }
    if let Replay::One(delivery) = &replay {
        let found = api.store.delivery(*delivery).await.map_err(|error| Refusal::store_unreadable(&error))?;
        found.ok_or_else(|| Refusal::not_found("no such delivery"))?;
    }
    let replayed =
        api.store.replay(replay, api.clock.now().wall).await.map_err(|error| Refusal::store_unwritable(&error))?;
    tracing::info!(replayed, "an operator had deliveries replayed; they are pending again");
    Ok(Json(Replayed { replayed }))
}

fn parse_replay(body: &[u8]) -> Result<Replay, Refusal> {
    const MALFORMED: &str = "the body must be {\"delivery\": ID}, {\"endpoint\": NAME, \"dead\": true}, or {\"endpoint\": NAME, \"from\": TIME, \"to\": TIME}";
    match json_object(body).ok_or_else(|| Refusal::bad_request(MALFORMED))? {
        ReplayRequest::One(ReplayOne { delivery }) => Ok(Replay::One(DeliveryId(delivery))),
        ReplayRequest::Dead(ReplayDead { endpoint, dead: true }) => Ok(Replay::Dead(endpoint)),
        ReplayRequest::Dead(ReplayDead { dead: false, .. }) => Err(Refusal::bad_request(MALFORMED)),
        ReplayRequest::Interval(ReplayInterval { from, to, .. }) if from >= to => {
            Err(Refusal::bad_request("`from` must be before `to`"))
        }
        ReplayRequest::Interval(ReplayInterval { endpoint, from, to }) => {
            Ok(Replay::Range { endpoint, from, until: to })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_request_has_exactly_one_of_the_three_forms() {
        let read = |text: &str| parse_replay(text.as_bytes()).ok();
        let ops = || EndpointName::parse("ops").unwrap();
        assert_eq!(read(r#"{"delivery": 7}"#), Some(Replay::One(DeliveryId(7))));
        assert_eq!(read(r#"{"endpoint": "ops", "dead": true}"#), Some(Replay::Dead(ops())));
        let range = r#"{"endpoint": "ops", "from": "2026-01-05T10:00:00Z", "to": "2026-01-05T11:00:00Z"}"#;
        assert!(matches!(read(range), Some(Replay::Range { .. })));
        for bad in [
            "",
            "{}",
            r#"{"delivery": 7, "endpoint": "ops", "dead": true}"#,
            r#"{"delivery": 7, "endpoint": null}"#,
            r#"{"endpoint": "ops"}"#,
            r#"{"endpoint": "ops", "dead": false}"#,
            r#"{"endpoint": "ops", "from": "2026-01-05T10:00:00Z"}"#,
            r#"{"endpoint": "ops", "from": "2026-01-05T11:00:00Z", "to": "2026-01-05T11:00:00Z"}"#,
            r#"{"delivery": 7, "more": 1}"#,
            r#"{"delivery": 7, "delivery": 8}"#,
            "[7]",
            r#"["ops", true]"#,
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
