//! `/api/v1/endpoints`: the state of each endpoint and its skipped deliveries; enabling, disabling, testing and
//! removing one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::deliveries::{DeliveryList, before};
use crate::model::EndpointName;
use crate::serve::configured_endpoint::EndpointDescription;
use crate::serve::extract::{NoParameters, PathSegment, QueryParameters, json_object, no_body};
use crate::serve::live_config::LiveConfig;
use crate::serve::names::unknown_endpoint;
use crate::serve::refusal::Refusal;
use crate::serve::state::{ApiContext, ServerState};
use crate::store::{AttemptCount, DeliveryFilter, EndpointSummary, ResumeFrom, StoredBreaker};

/// The interval up to now over which the success rate is computed.
const SUCCESS_RATE_WINDOW: Duration = Duration::from_secs(24 * 3600);

pub(super) fn router() -> Router<Arc<ServerState>> {
    Router::new()
        .route("/api/v1/endpoints", get(list))
        .route("/api/v1/endpoints/{name}", delete(remove))
        .route("/api/v1/endpoints/{name}/skipped", get(skipped))
        .route("/api/v1/endpoints/{name}/enable", post(enable))
        .route("/api/v1/endpoints/{name}/disable", post(disable))
        .route("/api/v1/endpoints/{name}/test", post(test))
}

/// All endpoints, by name.
#[derive(Debug, Serialize)]
struct EndpointList {
    endpoints: Vec<EndpointView>,
}

#[derive(Debug, Serialize)]
struct EndpointView {
    name: EndpointName,
    /// `null` if it is no longer configured.
    address: Option<String>,
    format: Option<&'static str>,
    names: Option<&'static str>,
    enabled: bool,
    since: Option<Timestamp>,
    /// Why it is disabled.
    reason: Option<String>,
    /// It has deliveries and is no longer configured.
    orphaned: bool,
    breaker: &'static str,
    /// When an open breaker lets the next probe through.
    probe_at: Option<Timestamp>,
    /// The rate to which deliveries slowed down because the endpoint was busy.
    limited_per_second: Option<f64>,
    pending: u64,
    dead: u64,
    expired: u64,
    settled: u64,
    oldest_pending: Option<Timestamp>,
    last_day: AttemptCounts,
}

/// The attempts of the last 24 hours.
#[derive(Debug, Serialize)]
struct AttemptCounts {
    arrived: u64,
    failed: u64,
    /// The fraction that arrived; `null` without attempts.
    success_rate: Option<f64>,
}

async fn list(State(state): State<Arc<ServerState>>, _: NoParameters) -> Result<Json<EndpointList>, Refusal> {
    let api = &state.api;
    let since = api.clock.now().wall.saturating_sub(SUCCESS_RATE_WINDOW).unwrap_or(Timestamp::MIN);
    let config = state.live_config.current();
    // Before the counts, so that every attempt that the summaries reflect is counted.
    let endpoints = summaries(api, &config).await?.into_values();
    let counts = api.store.attempts_since(since).await.map_err(|error| Refusal::store_unreadable(&error))?;
    let mut counts: BTreeMap<EndpointName, AttemptCount> =
        counts.into_iter().map(|count| (count.endpoint.clone(), count)).collect();
    let view = |summary: EndpointSummary| {
        let configured = config.endpoints.iter().find(|configured| configured.name == summary.endpoint);
        let count = counts.remove(&summary.endpoint);
        let limit = state.endpoint_limits.limited_per_second(&summary.endpoint);
        EndpointView { limited_per_second: limit, ..EndpointView::new(summary, configured, count.as_ref()) }
    };
    Ok(Json(EndpointList { endpoints: endpoints.map(view).collect() }))
}

impl EndpointView {
    fn new(summary: EndpointSummary, configured: Option<&EndpointDescription>, count: Option<&AttemptCount>) -> Self {
        let (arrived, failed) = count.map_or((0, 0), |count| (count.arrived, count.failed));
        let all = arrived + failed;
        Self {
            name: summary.endpoint,
            address: configured.map(|configured| configured.address.clone()),
            format: configured.map(|configured| configured.format),
            names: configured.map(|configured| configured.names),
            enabled: summary.enabled,
            since: summary.since,
            reason: summary.reason,
            orphaned: configured.is_none(),
            breaker: summary.breaker.as_str(),
            probe_at: match summary.breaker {
                StoredBreaker::Open { probe_at, .. } => Some(probe_at),
                StoredBreaker::Closed | StoredBreaker::Draining => None,
            },
            limited_per_second: None,
            pending: summary.pending,
            dead: summary.dead,
            expired: summary.expired,
            settled: summary.settled,
            oldest_pending: summary.oldest_pending,
            last_day: AttemptCounts { arrived, failed, success_rate: (all > 0).then(|| arrived as f64 / all as f64) },
        }
    }
}

/// Returns all endpoints that are configured or ever had a delivery.
async fn summaries(api: &ApiContext, config: &LiveConfig) -> Result<BTreeMap<EndpointName, EndpointSummary>, Refusal> {
    let known = api.store.outbox_summary().await.map_err(|error| Refusal::store_unreadable(&error))?;
    let mut all: BTreeMap<_, _> = known.into_iter().map(|summary| (summary.endpoint.clone(), summary)).collect();
    for EndpointDescription { name, .. } in &config.endpoints {
        all.entry(name.clone()).or_insert_with(|| EndpointSummary::unused(name.clone()));
    }
    Ok(all)
}

/// Returns the endpoint that a path names, or 404 if it is neither configured nor ever had a delivery.
async fn known_endpoint(state: &ServerState, given: &str) -> Result<EndpointName, Refusal> {
    let not_found = || Refusal::not_found(unknown_endpoint(state, "no such endpoint", given));
    let name = EndpointName::parse(given).map_err(|_| not_found())?;
    if summaries(&state.api, &state.live_config.current()).await?.contains_key(&name) {
        Ok(name)
    } else {
        Err(not_found())
    }
}

async fn skipped(
    State(state): State<Arc<ServerState>>,
    PathSegment(name): PathSegment,
    uri: Uri,
) -> Result<Json<DeliveryList>, Refusal> {
    let mut query = QueryParameters::of(&uri);
    let (before, limit) = (before(&mut query)?, query.limit()?);
    query.finish()?;
    let filter = DeliveryFilter::skipped(known_endpoint(&state, &name).await?, before, limit);
    let page = state.api.store.list_deliveries(filter).await.map_err(|error| Refusal::store_unreadable(&error))?;
    Ok(Json(page.into()))
}

/// Where an enabled endpoint resumes.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EnableRequest {
    from: EnableFrom,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EnableFrom {
    #[default]
    Backlog,
    Now,
}

/// The state of an endpoint after it was enabled or disabled.
#[derive(Debug, Serialize)]
struct EndpointSwitched {
    enabled: bool,
    /// How many pending deliveries were skipped.
    skipped: u64,
}

async fn enable(
    State(state): State<Arc<ServerState>>,
    PathSegment(name): PathSegment,
    _: NoParameters,
    body: Bytes,
) -> Result<Json<EndpointSwitched>, Refusal> {
    let malformed = || Refusal::bad_request("the body must be empty, {\"from\": \"backlog\"} or {\"from\": \"now\"}");
    let EnableRequest { from } =
        if body.is_empty() { EnableRequest::default() } else { json_object(&body).ok_or_else(malformed)? };
    let from = match from {
        EnableFrom::Backlog => ResumeFrom::Backlog,
        EnableFrom::Now => ResumeFrom::Now,
    };
    let api = &state.api;
    let name = known_endpoint(&state, &name).await?;
    let now = api.clock.now().wall;
    let skipped = api.store.enable(name.clone(), from, now).await.map_err(|error| Refusal::store_unwritable(&error))?;
    tracing::info!(endpoint = name.as_str(), skipped, "an operator enabled the endpoint");
    Ok(Json(EndpointSwitched { enabled: true, skipped }))
}

async fn disable(
    State(state): State<Arc<ServerState>>,
    PathSegment(name): PathSegment,
    _: NoParameters,
    body: Bytes,
) -> Result<Json<EndpointSwitched>, Refusal> {
    no_body(&body)?;
    let api = &state.api;
    let name = known_endpoint(&state, &name).await?;
    api.store.disable(name.clone(), api.clock.now().wall).await.map_err(|error| Refusal::store_unwritable(&error))?;
    tracing::info!(endpoint = name.as_str(), "an operator disabled the endpoint; its deliveries stay pending");
    Ok(Json(EndpointSwitched { enabled: false, skipped: 0 }))
}

/// The result of a test delivery.
#[derive(Debug, Serialize)]
struct EndpointTested {
    delivered: bool,
    id: String,
    seconds: f64,
    status: Option<u16>,
    reason: Option<&'static str>,
    answer: Option<Box<str>>,
}

async fn test(
    State(state): State<Arc<ServerState>>,
    PathSegment(given): PathSegment,
    _: NoParameters,
    body: Bytes,
) -> Result<Json<EndpointTested>, Refusal> {
    no_body(&body)?;
    let not_configured = || Refusal::not_found(unknown_endpoint(&state, "no such endpoint is configured", &given));
    let name = EndpointName::parse(&given).map_err(|_| not_configured())?;
    let report = state.live_config.current().tester.test(name).await.ok_or_else(not_configured)?;
    Ok(Json(EndpointTested {
        delivered: report.reason.is_none(),
        id: report.id,
        seconds: report.took.as_secs_f64(),
        status: report.status,
        reason: report.reason,
        answer: report.answer,
    }))
}

/// How many deliveries were deleted together with an endpoint.
#[derive(Debug, Serialize)]
struct EndpointRemoved {
    deleted: u64,
}

async fn remove(
    State(state): State<Arc<ServerState>>,
    PathSegment(name): PathSegment,
    _: NoParameters,
    body: Bytes,
) -> Result<Json<EndpointRemoved>, Refusal> {
    no_body(&body)?;
    let api = &state.api;
    let name = known_endpoint(&state, &name).await?;
    if state.live_config.current().endpoints.iter().any(|configured| configured.name == name) {
        let message = "this endpoint is configured; remove it from the configuration and reload first";
        return Err(Refusal::new(StatusCode::CONFLICT, message));
    }
    let now = api.clock.now().wall;
    let deleted =
        api.store.remove_orphan(name.clone(), now).await.map_err(|error| Refusal::store_unwritable(&error))?;
    tracing::info!(endpoint = name.as_str(), deleted, "an operator removed the endpoint; its deliveries were deleted");
    Ok(Json(EndpointRemoved { deleted }))
}
