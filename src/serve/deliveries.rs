//! `/api/v1/deliveries`: what is owed and what became of it, and sending it once more.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::Uri;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::ask::{NoParameters, Parameters, Refusal, Segment, bad, missing, said, unreadable, unwritable};
use super::routes::Shared;
use crate::model::{ConferenceName, EndpointName, EventId};
use crate::store::{
    DeliveryDetail, DeliveryFilter, DeliveryId, DeliveryPage, DeliveryRow, DeliveryState, Replay, StoredAttempt,
};

/// A page of deliveries, the newest first.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    deliveries: Vec<Delivery>,
    /// `before` for the next page.
    next: Option<i64>,
}

/// One delivery as it stands.
#[derive(Debug, Serialize)]
pub(super) struct Delivery {
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
    /// The id of the batch that it is in.
    batch: Option<String>,
}

/// One delivery with its attempts and its event.
#[derive(Debug, Serialize)]
pub(super) struct Detail {
    delivery: Delivery,
    attempts: Vec<Attempt>,
    /// As it was committed, before redaction.
    event: Box<RawValue>,
}

#[derive(Debug, Serialize)]
struct Attempt {
    number: u32,
    began_at: Timestamp,
    seconds: f64,
    status: Option<u16>,
    reason: Option<String>,
    answer: Option<String>,
}

impl From<DeliveryPage> for Page {
    fn from(page: DeliveryPage) -> Self {
        let deliveries = page.deliveries.into_iter().map(Delivery::from).collect();
        Self { deliveries, next: page.next.map(|next| next.0) }
    }
}

impl From<DeliveryRow> for Delivery {
    fn from(row: DeliveryRow) -> Self {
        let owed = matches!(row.state, DeliveryState::Pending | DeliveryState::Leased);
        Self {
            id: row.delivery.0,
            endpoint: row.endpoint,
            event: row.event,
            r#type: row.event_type.as_str(),
            conference: row.conference,
            sequence: row.sequence,
            state: row.state.as_str(),
            owed_at: row.owed_at,
            due_at: owed.then_some(row.due_at),
            finished_at: row.finished_at,
            attempts: row.attempts,
            reason: row.reason,
            batch: row.batch,
        }
    }
}

impl From<StoredAttempt> for Attempt {
    fn from(attempt: StoredAttempt) -> Self {
        let StoredAttempt { number, began_at, duration, status, reason, answer } = attempt;
        Self { number, began_at, seconds: duration.as_secs_f64(), status, reason, answer }
    }
}

pub(super) async fn list(State(shared): State<Arc<Shared>>, uri: Uri) -> Result<Json<Page>, Refusal> {
    let filter = filter(&uri)?;
    let page = shared.desk.store.list_deliveries(filter).await.map_err(|error| unreadable(&error))?;
    Ok(Json(page.into()))
}

fn filter(uri: &Uri) -> Result<DeliveryFilter, Refusal> {
    let mut asked = Parameters::of(uri);
    let mut states = Vec::new();
    for name in asked.all("state") {
        let known = || format!("`state` must be one of {}", DeliveryState::ALL.map(DeliveryState::as_str).join(", "));
        states.push(DeliveryState::parse(&name).ok_or_else(|| bad(known()))?);
    }
    let filter = DeliveryFilter {
        endpoint: asked.endpoint()?,
        states,
        conference: asked.one("conference", "conferenceRecords/{id}", |text| ConferenceName::parse(text).ok())?,
        event: asked.one("event", "the id of an event, evt_…", EventId::parse)?,
        from: asked.time("from")?,
        until: asked.time("to")?,
        before: before(&mut asked)?,
        limit: asked.limit()?,
    };
    asked.finish()?;
    Ok(filter)
}

/// The cursor of a page.
pub(super) fn before(asked: &mut Parameters) -> Result<Option<DeliveryId>, Refusal> {
    asked.one("before", "the id of a delivery", |text| text.parse().ok().map(DeliveryId))
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Segment(id): Segment,
    _: NoParameters,
) -> Result<Json<Detail>, Refusal> {
    let id = id.parse().map(DeliveryId).map_err(|_| bad("a delivery's id is a number"))?;
    let found = shared.desk.store.delivery(id).await.map_err(|error| unreadable(&error))?;
    let DeliveryDetail { row, attempts, body } = found.ok_or_else(|| missing("there is no such delivery"))?;
    let event = RawValue::from_string(body.into()).map_err(|_| missing("its event cannot be read"))?;
    Ok(Json(Detail { delivery: row.into(), attempts: attempts.into_iter().map(Attempt::from).collect(), event }))
}

/// What to send once more: one delivery, or of an endpoint all that is dead, or all of a time.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Order {
    One(One),
    Dead(Dead),
    Range(Range),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    delivery: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dead {
    endpoint: EndpointName,
    dead: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    endpoint: EndpointName,
    from: Timestamp,
    to: Timestamp,
}

/// How many deliveries are owed again.
#[derive(Debug, Serialize)]
pub(super) struct Replayed {
    replayed: u64,
}

pub(super) async fn replay(
    State(shared): State<Arc<Shared>>,
    _: NoParameters,
    body: Bytes,
) -> Result<Json<Replayed>, Refusal> {
    let which = which(&body)?;
    let desk = &shared.desk;
    if let Replay::One(delivery) = &which {
        let found = desk.store.delivery(*delivery).await.map_err(|error| unreadable(&error))?;
        found.ok_or_else(|| missing("there is no such delivery"))?;
    }
    let replayed = desk.store.replay(which, desk.clock.now().wall).await.map_err(|error| unwritable(&error))?;
    tracing::info!(replayed, "deliveries are sent once more, because an operator asked");
    Ok(Json(Replayed { replayed }))
}

fn which(body: &[u8]) -> Result<Replay, Refusal> {
    const SHAPE: &str = "say {\"delivery\": ID}, {\"endpoint\": NAME, \"dead\": true}, or {\"endpoint\": NAME, \"from\": TIME, \"to\": TIME}";
    match said(body).ok_or_else(|| bad(SHAPE))? {
        Order::One(One { delivery }) => Ok(Replay::One(DeliveryId(delivery))),
        Order::Dead(Dead { endpoint, dead: true }) => Ok(Replay::Dead(endpoint)),
        Order::Dead(Dead { dead: false, .. }) => Err(bad(SHAPE)),
        Order::Range(Range { from, to, .. }) if from >= to => Err(bad("`from` has to lie before `to`")),
        Order::Range(Range { endpoint, from, to }) => Ok(Replay::Range { endpoint, from, until: to }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_says_exactly_one_thing() {
        let read = |text: &str| which(text.as_bytes()).ok();
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
