//! A store that an earlier version wrote is opened, read, and continued.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use meetwatch::model::Event;
use meetwatch::store::{
    AttemptRecord, AttemptResult, AttemptRow, ClaimRequest, Claimed, Commit, ConferenceRow, Db, DeliveryFilter,
    DeliveryState, EndpointSummary, OutboxRequest, Pick, StoredBreaker,
};

use crate::store_samples::{endpoint, event};

/// See `tests/data/stores/README.md`.
const EVENTS: usize = 56;

fn copy(name: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meetwatch.db");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/stores").join(name), &path).unwrap();
    (folder, path)
}

/// A minute after the store was written.
fn now() -> Timestamp {
    "2026-11-27T12:52:00Z".parse().unwrap()
}

fn summary(db: &Db, name: &str) -> EndpointSummary {
    db.outbox_summary().unwrap().into_iter().find(|summary| summary.endpoint == endpoint(name)).unwrap()
}

fn claim(db: &mut Db, name: &str, pick: Pick) -> Vec<Claimed> {
    let (lease, longest_wait) = (Duration::from_secs(45), Duration::from_secs(50_000));
    let claims = vec![ClaimRequest { endpoint: endpoint(name), pick, lease, longest_wait }];
    let request = OutboxRequest { claims, ..OutboxRequest::default() };
    db.write(request, now()).unwrap().endpoints.remove(0).claimed
}

fn arrives(db: &mut Db, claimed: &Claimed) {
    let attempt =
        AttemptRow { began_at: now(), duration: Duration::ZERO, status: Some(200), reason: None, answer: None };
    let (delivery, claim, result) = (claimed.delivery, claimed.claim, AttemptResult::Done);
    let records = vec![AttemptRecord { delivery, claim, attempt: Some(attempt), result }];
    let reply = db.write(OutboxRequest { records, ..OutboxRequest::default() }, now()).unwrap();
    assert!(reply.stale.is_empty());
}

#[test]
fn everything_in_a_store_of_schema_4_is_read() {
    let (_folder, path) = copy("schema-4.db");
    let db = Db::open(&path, now()).unwrap();
    let conferences = db.load_unfinished().unwrap();
    assert_eq!(conferences.len(), 3);
    assert!(conferences.iter().all(|stored| stored.conference.last_sequence == stored.emitted.len() as u64));
    assert_eq!(conferences.iter().map(|stored| stored.emitted.len()).sum::<usize>(), EVENTS);
    assert_eq!(conferences.iter().map(|stored| stored.participants.len()).sum::<usize>(), 14);
    assert_eq!(conferences.iter().map(|stored| stored.sessions.len()).sum::<usize>(), 19);
    assert_eq!(db.targets().unwrap().len(), 1);

    let log = db.log_after(0, 1000).unwrap();
    assert_eq!((log.len(), db.log_position()), (EVENTS, log.last().unwrap().position));
    for row in &log {
        let event: Event = serde_json::from_str(&row.body).unwrap();
        assert_eq!(event.id, row.id);
    }

    for name in ["ops", "batched"] {
        let summary = summary(&db, name);
        assert_eq!((summary.pending, summary.breaker), (0, StoredBreaker::Closed), "{name}");
    }
    let unreachable = summary(&db, "unreachable");
    assert_eq!(unreachable.pending, EVENTS as u64);
    assert!(matches!(unreachable.breaker, StoredBreaker::Open { .. }));
    let done = DeliveryFilter { states: vec![DeliveryState::Done], ..DeliveryFilter::all_of(endpoint("batched")) };
    let done = db.list_deliveries(&done).unwrap().deliveries;
    assert!(done.len() == EVENTS && done.iter().all(|row| row.batch.is_some()));
    assert!(!db.delivery(done[0].delivery).unwrap().unwrap().attempts.is_empty());
}

#[test]
fn a_store_of_schema_4_is_continued() {
    let (_folder, path) = copy("schema-4.db");
    let mut db = Db::open(&path, now()).unwrap();
    let before = db.load_unfinished().unwrap().remove(0).conference;
    let sequence = before.last_sequence + 1;
    let id = before.name.as_str().strip_prefix("conferenceRecords/").unwrap();
    let new = event(id, sequence, &["ops", "unreachable"]);
    let conference = Some(ConferenceRow { last_sequence: sequence, ..before.clone() });
    db.write(Commit { conference, events: vec![new.clone()], ..Commit::default() }, now()).unwrap();
    assert_eq!(db.log_after(0, 1000).unwrap().len(), EVENTS + 1);

    let claimed = claim(&mut db, "ops", Pick::Due { limit: 9, run: 9 });
    assert_eq!(claimed.iter().map(|claimed| &claimed.event).collect::<Vec<_>>(), [&new.id]);
    assert!(claimed[0].previous.is_some(), "it follows what was delivered before");
    arrives(&mut db, &claimed[0]);
    let probe = claim(&mut db, "unreachable", Pick::Probe { not_of: Vec::new(), window: Duration::from_secs(86_400) });
    assert!(probe.len() == 1 && probe[0].attempts > 0);
    arrives(&mut db, &probe[0]);

    drop(db);
    let db = Db::open(&path, now()).unwrap();
    assert_eq!((summary(&db, "ops").pending, summary(&db, "unreachable").pending), (0, EVENTS as u64));
    assert_eq!(db.conference(&before.name).unwrap().unwrap().conference.last_sequence, sequence);
    assert_eq!(db.delivery(probe[0].delivery).unwrap().unwrap().row.state, DeliveryState::Done);
}

/// Puts every failed delivery of `unreachable` off for four hours, while the endpoint counts as well.
fn put_off(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch(
            "UPDATE endpoints SET breaker = 'closed', trouble_since = NULL, probe_at = NULL, probes = 0;
             UPDATE deliveries SET due_at = 1795783920000000000 + 14400000000000 WHERE state IN ('pending', 'leased') AND attempts > 0;",
        )
        .unwrap();
}

#[test]
fn what_was_put_off_for_hours_by_the_endpoint_s_trouble_is_due_at_the_first_open_and_at_no_other() {
    let (_folder, path) = copy("schema-4.db");
    put_off(&path);
    let failed_and_due = |db: &mut Db| {
        let claimed = claim(db, "unreachable", Pick::Due { limit: 99, run: 1 });
        claimed.iter().filter(|claimed| claimed.attempts > 0).count()
    };
    let mut db = Db::open(&path, now()).unwrap();
    assert!(failed_and_due(&mut db) > 0);
    drop(db);
    put_off(&path);
    assert_eq!(failed_and_due(&mut Db::open(&path, now()).unwrap()), 0);
}
