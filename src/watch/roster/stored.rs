//! For tests: a roster and its log as the store would return them.

use std::collections::BTreeSet;

use super::{EmittedEvent, Roster};
use crate::model::{EventType, IdentityName};
use crate::store::{EmittedRow, Phase, StoredConference};
use crate::watch::persist::{self, CommitContext};

/// Returns what another process would find in the store, given the whole log and the identity that watches.
pub(super) fn stored(roster: &Roster, log: &[EmittedEvent], identity: &IdentityName) -> StoredConference {
    let context = CommitContext {
        phase: if roster.is_ended() { Phase::Ended } else { Phase::Live },
        identity,
        targets: &[],
        routes: &[],
        backfilled_to: None,
        final_read_due: None,
    };
    let commit = persist::commit(None, roster, log.to_vec(), &context).unwrap();
    let taken_back: BTreeSet<_> = log.iter().filter_map(|told| told.takes_back.as_ref()).collect();
    let told = commit.events.iter().filter(|event| event.event != EventType::EventRetracted);
    let told = told.map(|event| EmittedRow {
        event: event.event,
        participant: event.participant.clone(),
        session: event.session.clone(),
        time: event.time,
        observed_at: event.observed_at,
        provenance: event.provenance,
        source: event.source,
        n: event.n,
        sequence: event.sequence.unwrap(),
        stands: !taken_back.contains(&event.id),
    });
    StoredConference {
        emitted: told.collect(),
        conference: commit.conference.unwrap(),
        participants: commit.participants,
        sessions: commit.sessions,
    }
}
