//! `/api/v1/status`: counts of what is live, and the state of each target and identity. Names no person.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::identities::{IdentityView, identities};
use crate::model::{ParticipantKind, TargetName};
use crate::serve::extract::NoParameters;
use crate::serve::metrics::{REVISION, VERSION};
use crate::serve::state::ServerState;
use crate::status::TargetStatus;

pub(super) fn router() -> Router<Arc<ServerState>> {
    Router::new().route("/api/v1/status", get(status))
}

/// The response of `/api/v1/status`.
#[derive(Debug, Serialize)]
struct StatusReport {
    version: &'static str,
    revision: &'static str,
    ready: bool,
    conferences_live: usize,
    /// How many are present in all live conferences, by kind.
    participants: BTreeMap<&'static str, u64>,
    targets: BTreeMap<String, TargetCounts>,
    identities: BTreeMap<String, IdentityView>,
    /// Google's clock minus this machine's.
    clock_offset_seconds: Option<i64>,
}

#[derive(Debug, Default, Serialize)]
struct TargetCounts {
    conferences_live: usize,
    participants: u64,
    last_discovery: Option<jiff::Timestamp>,
}

async fn status(State(state): State<Arc<ServerState>>, _: NoParameters) -> Json<StatusReport> {
    let identities = identities(&state.board);
    let ready = state.conditions().is_ready();
    let board = state.board.read();
    let mut participants: BTreeMap<&'static str, u64> =
        ParticipantKind::ALL.iter().map(|kind| (kind.as_str(), 0)).collect();
    let discovered = |(name, status): (&TargetName, &TargetStatus)| {
        (name.to_string(), TargetCounts { last_discovery: status.last_discovery, ..TargetCounts::default() })
    };
    let mut targets: BTreeMap<String, TargetCounts> = board.targets.iter().map(discovered).collect();
    for conference in board.conferences.values() {
        let present: u64 = conference.present.iter().map(|present| u64::from(*present)).sum();
        for (kind, present) in ParticipantKind::ALL.iter().zip(conference.present) {
            *participants.entry(kind.as_str()).or_default() += u64::from(present);
        }
        for name in &conference.targets {
            let target = targets.entry(name.to_string()).or_default();
            target.conferences_live += 1;
            target.participants += present;
        }
    }
    Json(StatusReport {
        version: VERSION,
        revision: REVISION,
        ready,
        conferences_live: board.conferences.len(),
        participants,
        targets,
        identities,
        clock_offset_seconds: board.clock_offset_seconds,
    })
}
