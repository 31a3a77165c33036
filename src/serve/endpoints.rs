//! `/api/v1/endpoints`: how each endpoint fares, what it will not get, and switching, trying and forgetting one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ask::{
    NoParameters, Parameters, Refusal, Segment, bad, missing, nothing_said, said, unreadable, unwritable,
};
use super::deliveries::{Page, before};
use super::desk::{Desk, EndpointCard};
use super::front::Front;
use super::routes::Shared;
use crate::model::EndpointName;
use crate::store::{AttemptCount, DeliveryFilter, EndpointSummary, ResumeFrom, StoredBreaker};

/// How far back the share of attempts that arrived looks.
const RECENT: Duration = Duration::from_secs(24 * 3600);

/// All endpoints, by name.
#[derive(Debug, Serialize)]
pub(super) struct Endpoints {
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Serialize)]
struct Endpoint {
    name: EndpointName,
    /// `null` once the configuration does not name it any more.
    address: Option<String>,
    format: Option<&'static str>,
    names: Option<&'static str>,
    enabled: bool,
    since: Option<Timestamp>,
    /// Why it is off.
    reason: Option<String>,
    /// Owed things, and the configuration does not name it any more.
    orphaned: bool,
    breaker: &'static str,
    /// When an endpoint in trouble is tried next.
    probe_at: Option<Timestamp>,
    pending: u64,
    dead: u64,
    expired: u64,
    settled: u64,
    oldest_pending: Option<Timestamp>,
    last_day: LastDay,
}

/// How its attempts fared in the last 24 hours.
#[derive(Debug, Serialize)]
struct LastDay {
    arrived: u64,
    failed: u64,
    /// The share that arrived; `null` without attempts.
    success_rate: Option<f64>,
}

pub(super) async fn list(State(shared): State<Arc<Shared>>, _: NoParameters) -> Result<Json<Endpoints>, Refusal> {
    let desk = &shared.desk;
    let since = desk.clock.now().wall.saturating_sub(RECENT).unwrap_or(Timestamp::MIN);
    let front = shared.fronts.now();
    // Before the counts: what is seen to have come of an attempt is counted then.
    let endpoints = summaries(desk, &front).await?.into_values();
    let counts = desk.store.attempts_since(since).await.map_err(|error| unreadable(&error))?;
    let mut counts: BTreeMap<EndpointName, AttemptCount> =
        counts.into_iter().map(|count| (count.endpoint.clone(), count)).collect();
    let one = |summary: EndpointSummary| {
        let card = front.endpoints.iter().find(|card| card.name == summary.endpoint);
        let count = counts.remove(&summary.endpoint);
        Endpoint::new(summary, card, count.as_ref())
    };
    Ok(Json(Endpoints { endpoints: endpoints.map(one).collect() }))
}

impl Endpoint {
    fn new(summary: EndpointSummary, card: Option<&EndpointCard>, count: Option<&AttemptCount>) -> Self {
        let (arrived, failed) = count.map_or((0, 0), |count| (count.arrived, count.failed));
        let all = arrived + failed;
        Self {
            name: summary.endpoint,
            address: card.map(|card| card.address.clone()),
            format: card.map(|card| card.format),
            names: card.map(|card| card.names),
            enabled: summary.enabled,
            since: summary.since,
            reason: summary.reason,
            orphaned: card.is_none(),
            breaker: summary.breaker.as_str(),
            probe_at: match summary.breaker {
                StoredBreaker::Open { probe_at, .. } => Some(probe_at),
                StoredBreaker::Closed | StoredBreaker::Draining => None,
            },
            pending: summary.pending,
            dead: summary.dead,
            expired: summary.expired,
            settled: summary.settled,
            oldest_pending: summary.oldest_pending,
            last_day: LastDay { arrived, failed, success_rate: (all > 0).then(|| arrived as f64 / all as f64) },
        }
    }
}

/// All that are configured or were ever owed anything.
async fn summaries(desk: &Desk, front: &Front) -> Result<BTreeMap<EndpointName, EndpointSummary>, Refusal> {
    let known = desk.store.outbox_summary().await.map_err(|error| unreadable(&error))?;
    let mut all: BTreeMap<_, _> = known.into_iter().map(|summary| (summary.endpoint.clone(), summary)).collect();
    for card in &front.endpoints {
        all.entry(card.name.clone()).or_insert_with(|| EndpointSummary::unused(card.name.clone()));
    }
    Ok(all)
}

/// The endpoint that a path names.
async fn named(shared: &Shared, name: &str) -> Result<EndpointName, Refusal> {
    let none = || missing("there is no such endpoint");
    let name = EndpointName::parse(name).map_err(|_| none())?;
    if summaries(&shared.desk, &shared.fronts.now()).await?.contains_key(&name) { Ok(name) } else { Err(none()) }
}

pub(super) async fn skipped(
    State(shared): State<Arc<Shared>>,
    Segment(name): Segment,
    uri: Uri,
) -> Result<Json<Page>, Refusal> {
    let mut asked = Parameters::of(&uri);
    let (before, limit) = (before(&mut asked)?, asked.limit()?);
    asked.finish()?;
    let filter = DeliveryFilter::skipped(named(&shared, &name).await?, before, limit);
    let page = shared.desk.store.list_deliveries(filter).await.map_err(|error| unreadable(&error))?;
    Ok(Json(page.into()))
}

/// Where to go on.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Enable {
    from: From,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum From {
    #[default]
    Backlog,
    Now,
}

/// What was switched.
#[derive(Debug, Serialize)]
pub(super) struct Switched {
    enabled: bool,
    /// How many deliveries will not be sent.
    skipped: u64,
}

pub(super) async fn enable(
    State(shared): State<Arc<Shared>>,
    Segment(name): Segment,
    _: NoParameters,
    body: Bytes,
) -> Result<Json<Switched>, Refusal> {
    let shape = || bad("say nothing, {\"from\": \"backlog\"} or {\"from\": \"now\"}");
    let Enable { from } = if body.is_empty() { Enable::default() } else { said(&body).ok_or_else(shape)? };
    let from = match from {
        From::Backlog => ResumeFrom::Backlog,
        From::Now => ResumeFrom::Now,
    };
    let desk = &shared.desk;
    let name = named(&shared, &name).await?;
    let now = desk.clock.now().wall;
    let skipped = desk.store.enable(name.clone(), from, now).await.map_err(|error| unwritable(&error))?;
    tracing::info!(endpoint = name.as_str(), skipped, "an operator switched the endpoint on");
    Ok(Json(Switched { enabled: true, skipped }))
}

pub(super) async fn disable(
    State(shared): State<Arc<Shared>>,
    Segment(name): Segment,
    _: NoParameters,
    body: Bytes,
) -> Result<Json<Switched>, Refusal> {
    nothing_said(&body)?;
    let desk = &shared.desk;
    let name = named(&shared, &name).await?;
    desk.store.disable(name.clone(), desk.clock.now().wall).await.map_err(|error| unwritable(&error))?;
    tracing::info!(endpoint = name.as_str(), "an operator switched the endpoint off");
    Ok(Json(Switched { enabled: false, skipped: 0 }))
}

/// What came of a test.
#[derive(Debug, Serialize)]
pub(super) struct Tested {
    delivered: bool,
    id: String,
    seconds: f64,
    status: Option<u16>,
    reason: Option<&'static str>,
    answer: Option<Box<str>>,
}

pub(super) async fn test(
    State(shared): State<Arc<Shared>>,
    Segment(name): Segment,
    _: NoParameters,
    body: Bytes,
) -> Result<Json<Tested>, Refusal> {
    nothing_said(&body)?;
    let not_configured = || missing("no such endpoint is configured");
    let name = EndpointName::parse(&name).map_err(|_| not_configured())?;
    let report = shared.fronts.now().tester.test(name).await.ok_or_else(not_configured)?;
    Ok(Json(Tested {
        delivered: report.reason.is_none(),
        id: report.id,
        seconds: report.took.as_secs_f64(),
        status: report.status,
        reason: report.reason,
        answer: report.answer,
    }))
}

/// How many deliveries went with an endpoint.
#[derive(Debug, Serialize)]
pub(super) struct Removed {
    deleted: u64,
}

pub(super) async fn remove(
    State(shared): State<Arc<Shared>>,
    Segment(name): Segment,
    _: NoParameters,
    body: Bytes,
) -> Result<Json<Removed>, Refusal> {
    nothing_said(&body)?;
    let desk = &shared.desk;
    let name = named(&shared, &name).await?;
    if shared.fronts.now().endpoints.iter().any(|card| card.name == name) {
        let why = "the configuration names this endpoint; only one that it names no more can be removed";
        return Err(Refusal::new(StatusCode::CONFLICT, why));
    }
    let now = desk.clock.now().wall;
    let deleted = desk.store.remove_orphan(name.clone(), now).await.map_err(|error| unwritable(&error))?;
    tracing::info!(endpoint = name.as_str(), deleted, "an operator removed the endpoint with all it was ever owed");
    Ok(Json(Removed { deleted }))
}
