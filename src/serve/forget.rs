//! `/api/v1/forget`: has one person forgotten, or says what there is of them.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::ask::{NoParameters, Refusal, bad, missing, said, unreadable, unwritable};
use super::routes::Shared;
use crate::store::Subject;

/// Who, and whether it is only asked what there is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    who: String,
    dry_run: bool,
}

/// What there was, or is.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    forgotten: bool,
    conferences: u64,
    /// How many of these are not closed yet.
    unfinished: u64,
    events: u64,
}

pub(super) async fn forget(
    State(shared): State<Arc<Shared>>,
    _: NoParameters,
    body: Bytes,
) -> Result<Json<Answer>, Refusal> {
    let shape = || bad("say {\"who\": \"users/…\", \"dry_run\": true}, with nothing else");
    let Asked { who, dry_run } = said(&body).ok_or_else(shape)?;
    let who = Subject::parse(&who)
        .ok_or_else(|| bad("`who` must be users/…, conferenceRecords/…/participants/…, or an email address"))?;
    let desk = &shared.desk;
    let traces = if dry_run {
        desk.store.traces(who).await.map_err(|error| unreadable(&error))?
    } else {
        desk.store.forget(who, desk.clock.now().wall).await.map_err(|error| unwritable(&error))?
    };
    let traces = traces.ok_or_else(|| {
        missing("nobody is stored under this address or participant; name the person as users/… instead")
    })?;
    if !dry_run {
        // Not who.
        tracing::info!(traces.conferences, traces.events, "an operator had somebody forgotten");
    }
    Ok(Json(Answer {
        forgotten: !dry_run,
        conferences: traces.conferences,
        unfinished: traces.unfinished,
        events: traces.events,
    }))
}
