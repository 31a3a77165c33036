//! `/api/v1/forget`: erases one person, or counts what is stored of them.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use crate::serve::extract::{NoParameters, json_object};
use crate::serve::refusal::Refusal;
use crate::serve::state::ServerState;
use crate::store::Subject;

pub(super) fn router() -> Router<Arc<ServerState>> {
    Router::new().route("/api/v1/forget", post(forget))
}

/// The person, and whether to count only.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForgetBody {
    who: String,
    dry_run: bool,
}

/// What was erased, or with `dry_run` what is stored.
#[derive(Debug, Serialize)]
struct ForgetReport {
    forgotten: bool,
    conferences: u64,
    /// How many of the conferences are not closed yet.
    unfinished: u64,
    events: u64,
}

async fn forget(
    State(state): State<Arc<ServerState>>,
    _: NoParameters,
    body: Bytes,
) -> Result<Json<ForgetReport>, Refusal> {
    let malformed = || Refusal::bad_request("the body must be {\"who\": \"users/…\", \"dry_run\": true or false}");
    let ForgetBody { who, dry_run } = json_object(&body).ok_or_else(malformed)?;
    let who = Subject::parse(&who).ok_or_else(|| {
        Refusal::bad_request("`who` must be users/…, conferenceRecords/…/participants/…, or an email address")
    })?;
    let api = &state.api;
    let traces = if dry_run {
        api.store.traces(who).await.map_err(|error| Refusal::store_unreadable(&error))?
    } else {
        api.store.forget(who, api.clock.now().wall).await.map_err(|error| Refusal::store_unwritable(&error))?
    };
    let traces = traces.ok_or_else(|| {
        Refusal::not_found(
            "no stored person has this email address or participant name; name the person as users/… instead",
        )
    })?;
    if !dry_run {
        // Does not log who.
        tracing::info!(traces.conferences, traces.events, "an operator had a person erased from the store");
    }
    Ok(Json(ForgetReport {
        forgotten: !dry_run,
        conferences: traces.conferences,
        unfinished: traces.unfinished,
        events: traces.events,
    }))
}
