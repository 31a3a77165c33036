//! `/api/v1/status`: what goes on, in numbers. No person is in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::ask::NoParameters;
use super::health::{Identity, identities};
use super::routes::Shared;
use crate::model::ParticipantKind;

/// What `/api/v1/status` answers.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    version: &'static str,
    revision: &'static str,
    ready: bool,
    conferences_live: usize,
    /// How many are present in all of them, by kind.
    participants: BTreeMap<&'static str, u64>,
    targets: BTreeMap<String, Target>,
    identities: BTreeMap<String, Identity>,
}

#[derive(Debug, Default, Serialize)]
struct Target {
    conferences_live: usize,
    participants: u64,
    last_discovery: Option<jiff::Timestamp>,
}

pub(super) async fn status(State(shared): State<Arc<Shared>>, _: NoParameters) -> Json<Status> {
    let identities = identities(&shared.board);
    let board = shared.board.read();
    let mut participants: BTreeMap<&'static str, u64> =
        ParticipantKind::ALL.iter().map(|kind| (kind.as_str(), 0)).collect();
    let known = |(name, status): (&crate::model::TargetName, &crate::status::TargetStatus)| {
        (name.to_string(), Target { last_discovery: status.last_discovery, ..Target::default() })
    };
    let mut targets: BTreeMap<String, Target> = board.targets.iter().map(known).collect();
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
    Json(Status {
        version: super::metrics::VERSION,
        revision: super::metrics::REVISION,
        ready: shared.readiness.is_ready(),
        conferences_live: board.conferences.len(),
        participants,
        targets,
        identities,
    })
}
