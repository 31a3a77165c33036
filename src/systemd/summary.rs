//! Pure: how it goes, in one line of numbers.

use std::collections::BTreeSet;

use crate::status::Status;
use crate::store::{EndpointSummary, StoredBreaker};

/// What the line is made of, besides the board.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen<'a> {
    /// How each endpoint fares; `None` where the store could not be read in time.
    pub endpoints: Option<&'a [EndpointSummary]>,
    /// Why the store cannot be written, if it cannot.
    pub store: Option<&'static str>,
    /// Which loops hang.
    pub hanging: &'a [&'static str],
}

/// What is watched, and what is wrong. No name of anything or anybody is in it.
#[must_use]
pub fn line(status: &Status, seen: Seen<'_>) -> String {
    let people: u64 = status.conferences.values().flat_map(|it| it.present).map(u64::from).sum();
    let watched = format!(
        "Watching {}: {} live, {} present.",
        counted(status.configured_targets, "target"),
        counted(status.conferences.len(), "conference"),
        if people == 1 { "1 person".to_owned() } else { format!("{people} people") },
    );
    let wrong: Vec<String> = [
        refused(status),
        seen.store.map(|reason| format!("the store cannot be written ({reason})")),
        match seen.endpoints {
            Some(endpoints) => troubled(endpoints),
            None => Some("the store cannot be read".to_owned()),
        },
        (!seen.hanging.is_empty()).then(|| format!("hanging: {}", seen.hanging.join(", "))),
    ]
    .into_iter()
    .flatten()
    .collect();
    if wrong.is_empty() { format!("{watched} All well.") } else { format!("{watched} Wrong: {}.", wrong.join("; ")) }
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn refused(status: &Status) -> Option<String> {
    let down = || status.identities.values().filter(|identity| identity.up == Some(false));
    let reasons: BTreeSet<&str> = down().filter_map(|identity| identity.reason).collect();
    let reasons: Vec<&str> = reasons.into_iter().collect();
    let (down, all) = (down().count(), status.identities.len());
    (down > 0).then(|| format!("identities in trouble: {down} of {all} ({})", reasons.join(", ")))
}

fn troubled(endpoints: &[EndpointSummary]) -> Option<String> {
    let ours = || endpoints.iter().filter(|endpoint| !endpoint.orphaned);
    let off = ours().filter(|endpoint| !endpoint.enabled).count();
    let open =
        ours().filter(|endpoint| endpoint.enabled && matches!(endpoint.breaker, StoredBreaker::Open { .. })).count();
    let pending: u64 = ours().map(|endpoint| endpoint.pending).sum();
    (off + open > 0).then(|| format!("webhooks in trouble: {open}, off: {off}; deliveries owed: {pending}"))
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
    fn what_is_watched_is_counted() {
        let seen = Seen { endpoints: Some(&[]), ..Seen::default() };
        assert_eq!(line(&status(), seen), "Watching 1 target: 1 conference live, 5 people present. All well.");
        assert_eq!(
            line(&Status::default(), seen),
            "Watching 0 targets: 0 conferences live, 0 people present. All well."
        );
    }

    #[test]
    fn everything_that_is_wrong_is_told_without_a_name() {
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
        let seen = Seen { endpoints: Some(&endpoints), store: Some("full"), hanging: &["polling"] };
        assert_eq!(
            line(&status, seen),
            "Watching 1 target: 1 conference live, 5 people present. Wrong: identities in trouble: 1 of 2 (delegation); \
             the store cannot be written (full); webhooks in trouble: 1, off: 1; deliveries owed: 12; hanging: polling."
        );
        assert!(
            line(&status, Seen::default())
                .contains("Wrong: identities in trouble: 1 of 2 (delegation); the store cannot be read.")
        );
    }
}
