//! Pure: the status line for the service manager, made of counts.

use std::collections::BTreeSet;

use crate::status::Status;
use crate::store::{EndpointSummary, StoredBreaker};

/// A clock that is further off than this is a problem.
const DAY_SECONDS: u64 = 86_400;

/// What the line reports besides the status board.
#[derive(Debug, Clone, Copy, Default)]
pub struct SummaryInput<'a> {
    /// The state of each endpoint; `None` if the store could not be read in time.
    pub endpoints: Option<&'a [EndpointSummary]>,
    /// Why the store cannot be written, if it cannot.
    pub store_outage: Option<&'static str>,
    /// The names of the stalled loops.
    pub stalled: &'a [&'static str],
}

/// Renders what is watched and which problems there are. Names no target, identity, endpoint or person.
#[must_use]
pub fn line(status: &Status, input: SummaryInput<'_>) -> String {
    let people: u64 = status.conferences.values().flat_map(|it| it.present).map(u64::from).sum();
    let watched = format!(
        "Watching {}: {} live, {} present.",
        counted(status.configured_targets, "target"),
        counted(status.conferences.len(), "conference"),
        if people == 1 { "1 person".to_owned() } else { format!("{people} people") },
    );
    let problems: Vec<String> = [
        failing_identities(status),
        input.store_outage.map(|reason| format!("the store cannot be written ({reason})")),
        match input.endpoints {
            Some(endpoints) => failing_endpoints(endpoints),
            None => Some("the store cannot be read".to_owned()),
        },
        status
            .clock_offset_seconds
            .filter(|seconds| seconds.unsigned_abs() > DAY_SECONDS)
            .map(|seconds| format!("this machine's clock is {seconds} s off Google's")),
        (!input.stalled.is_empty()).then(|| format!("stalled: {}", input.stalled.join(", "))),
    ]
    .into_iter()
    .flatten()
    .collect();
    if problems.is_empty() {
        format!("{watched} All well.")
    } else {
        format!("{watched} Problems: {}.", problems.join("; "))
    }
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn failing_identities(status: &Status) -> Option<String> {
    let failing = || status.identities.values().filter(|identity| identity.up == Some(false));
    let reasons: BTreeSet<&str> = failing().filter_map(|identity| identity.reason).collect();
    let reasons: Vec<&str> = reasons.into_iter().collect();
    let (failing, all) = (failing().count(), status.identities.len());
    (failing > 0).then(|| format!("identities failing: {failing} of {all} ({})", reasons.join(", ")))
}

fn failing_endpoints(endpoints: &[EndpointSummary]) -> Option<String> {
    let ours = || endpoints.iter().filter(|endpoint| !endpoint.orphaned);
    let off = ours().filter(|endpoint| !endpoint.enabled).count();
    let open =
        ours().filter(|endpoint| endpoint.enabled && matches!(endpoint.breaker, StoredBreaker::Open { .. })).count();
    let pending: u64 = ours().map(|endpoint| endpoint.pending).sum();
    (off + open > 0)
        .then(|| format!("endpoints with an open breaker: {open}, disabled: {off}; deliveries pending: {pending}"))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::{ConferenceName, EndpointName, IdentityName, ParticipantKind, TargetName};
    use crate::status::{ConferenceStatus, IdentityStatus};

    fn status() -> Status {
        let mut status = Status::default();
        let target = TargetName::parse("board").unwrap();
        let mut present = [0; ParticipantKind::ALL.len()];
        present[0] = 4;
        present[2] = 1;
        let conference = ConferenceStatus {
            targets: vec![target.clone()],
            start: Timestamp::UNIX_EPOCH,
            last_read: None,
            present,
            open_sessions: 5,
            sequence: 9,
        };
        status.conferences.insert(ConferenceName::parse("conferenceRecords/secret-name").unwrap(), conference);
        status.configured_targets = 1;
        let up = IdentityStatus { up: Some(true), reason: None, remedy: None };
        status.identities.insert(IdentityName::parse("organizer").unwrap(), up);
        status
    }

    #[test]
    fn targets_conferences_and_people_are_counted() {
        let input = SummaryInput { endpoints: Some(&[]), ..SummaryInput::default() };
        assert_eq!(line(&status(), input), "Watching 1 target: 1 conference live, 5 people present. All well.");
        assert_eq!(
            line(&Status::default(), input),
            "Watching 0 targets: 0 conferences live, 0 people present. All well."
        );
    }

    #[test]
    fn every_problem_is_reported_without_a_name() {
        let mut status = status();
        let down = IdentityStatus { up: Some(false), reason: Some("delegation"), remedy: None };
        status.identities.insert(IdentityName::parse("staff").unwrap(), down);
        let ops = EndpointSummary::unused(EndpointName::parse("ops").unwrap());
        let endpoints = [
            EndpointSummary { enabled: false, pending: 7, ..ops.clone() },
            EndpointSummary {
                breaker: StoredBreaker::Open {
                    since: Timestamp::UNIX_EPOCH,
                    probes: 1,
                    probe_at: Timestamp::UNIX_EPOCH,
                },
                pending: 5,
                ..ops.clone()
            },
            EndpointSummary { enabled: false, orphaned: true, pending: 100, ..ops.clone() },
            ops,
        ];
        let input = SummaryInput { endpoints: Some(&endpoints), store_outage: Some("full"), stalled: &["polling"] };
        assert_eq!(
            line(&status, input),
            "Watching 1 target: 1 conference live, 5 people present. Problems: identities failing: 1 of 2 (delegation); \
             the store cannot be written (full); endpoints with an open breaker: 1, disabled: 1; deliveries pending: 12; \
             stalled: polling."
        );
        assert!(
            line(&status, SummaryInput::default())
                .contains("Problems: identities failing: 1 of 2 (delegation); the store cannot be read.")
        );
    }
}
