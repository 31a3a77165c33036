//! What goes to an endpoint together: when, frozen how, and what becomes of all of it.

use std::time::Duration;

use meetwatch::store::{
    AdminRequest, AttemptRecord, AttemptResult, AttemptRow, Batching, ClaimRequest, Claimed, Commit, Db,
    DeliveryFilter, DeliveryId, DeliveryRow, DeliveryState, EndpointConfig, EndpointReply, OutboxRequest, Pick,
};

use crate::store_samples::*;

const FOUR_IN_TEN_SECONDS: Batching = Batching { max_events: 4, max_wait: Duration::from_secs(10) };

fn config() -> EndpointConfig {
    EndpointConfig {
        name: endpoint("ops"),
        ordered: true,
        settle: Duration::ZERO,
        max_age: None,
        batching: Some(FOUR_IN_TEN_SECONDS),
    }
}

fn configure(db: &mut Db, config: EndpointConfig) {
    db.repair(&AdminRequest::Configure(vec![config]), noon()).unwrap();
}

fn db() -> Db {
    let mut db = Db::in_memory(noon()).unwrap();
    configure(&mut db, config());
    db
}

fn write(db: &mut Db, commit: Commit, seconds: i64) {
    db.commit_group(&[commit], at(seconds)).pop().unwrap().unwrap();
}

fn ask(db: &mut Db, pick: Pick, seconds: i64) -> EndpointReply {
    let (lease, longest_wait) = (Duration::from_secs(45), Duration::from_secs(50_000));
    let claim = ClaimRequest { endpoint: endpoint("ops"), pick, lease, longest_wait };
    let request = OutboxRequest { claims: vec![claim], ..OutboxRequest::default() };
    db.exchange(&request, at(seconds)).unwrap().endpoints.remove(0)
}

fn due(db: &mut Db, seconds: i64) -> EndpointReply {
    ask(db, Pick::Due { limit: 100, run: 100 }, seconds)
}

/// The sequences in what was claimed, a list for each batch.
fn sequences(claimed: &[Claimed]) -> Vec<Vec<u64>> {
    let sequence = |body: &str| serde_json::from_str::<serde_json::Value>(body).unwrap()["sequence"].as_u64().unwrap();
    let of = |claimed: &Claimed| {
        let others = claimed.batch.as_ref().expect("a batch");
        [&claimed.body].into_iter().chain(others.iter().map(|other| &other.body)).map(|body| sequence(body)).collect()
    };
    claimed.iter().map(of).collect()
}

fn claim(db: &mut Db, seconds: i64) -> Vec<Vec<u64>> {
    sequences(&due(db, seconds).claimed)
}

fn record(db: &mut Db, claimed: &Claimed, result: AttemptResult, seconds: i64) {
    let reason = if result == AttemptResult::Done { None } else { Some("server_error") };
    let (began_at, duration) = (at(seconds), Duration::from_millis(3));
    let attempt = AttemptRow { began_at, duration, status: Some(500), reason, answer: None };
    let record = AttemptRecord { delivery: claimed.delivery, claim: claimed.claim, attempt: Some(attempt), result };
    let request = OutboxRequest { records: vec![record], ..OutboxRequest::default() };
    assert!(db.exchange(&request, at(seconds)).unwrap().stale.is_empty());
}

fn retry(seconds: i64) -> AttemptResult {
    AttemptResult::Retry { at: at(seconds), hold_until: at(10_000), failures: 1, rejections: 0 }
}

/// The oldest first.
fn rows(db: &Db) -> Vec<DeliveryRow> {
    let mut rows = db.list_deliveries(&DeliveryFilter { limit: 1000, ..DeliveryFilter::default() }).unwrap().deliveries;
    rows.reverse();
    rows
}

fn states(db: &Db) -> Vec<DeliveryState> {
    rows(db).into_iter().map(|row| row.state).collect()
}

use DeliveryState::{Dead, Done, Expired, Pending};

#[test]
fn the_first_waits_for_others_and_goes_with_those_that_came() {
    let mut db = db();
    write(&mut db, joins("c", 1..=1, &["ops"]), 0);
    write(&mut db, joins("c", 2..=3, &["ops"]), 7);
    let waiting = due(&mut db, 9);
    assert_eq!((waiting.claimed.len(), waiting.next_due), (0, Some(at(10))));
    assert_eq!(claim(&mut db, 10), [[1, 2, 3]]);
}

#[test]
fn enough_of_them_go_at_once_and_the_next_wait_from_their_own_commit_on() {
    let mut db = db();
    write(&mut db, joins("c", 1..=3, &["ops"]), 0);
    assert!(claim(&mut db, 1).is_empty());
    write(&mut db, joins("c", 4..=5, &["ops"]), 2);
    let first = due(&mut db, 2).claimed.remove(0);
    assert_eq!(sequences(std::slice::from_ref(&first)), [[1, 2, 3, 4]]);
    assert!(first.others_wait);
    write(&mut db, joins("c", 6..=6, &["ops"]), 3);
    assert!(claim(&mut db, 11).is_empty(), "one batch of a conference at a time");
    record(&mut db, &first, AttemptResult::Done, 4);
    assert_eq!(due(&mut db, 4).next_due, Some(at(12)));
    assert_eq!(claim(&mut db, 12), [[5, 6]]);
}

#[test]
fn conferences_are_not_mixed() {
    let mut db = db();
    write(&mut db, joins("c", 1..=2, &["ops"]), 0);
    write(&mut db, joins("d", 1..=1, &["ops"]), 0);
    let mut claimed = claim(&mut db, 10);
    claimed.sort();
    assert_eq!(claimed, [vec![1], vec![1, 2]]);
}

#[test]
fn once_frozen_it_is_the_same_after_a_failure_a_lost_lease_and_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meetwatch.db");
    let mut db = Db::open(&path, noon()).unwrap();
    configure(&mut db, config());
    write(&mut db, joins("c", 1..=2, &["ops"]), 0);
    let first = due(&mut db, 10).claimed.remove(0);
    write(&mut db, joins("c", 3..=3, &["ops"]), 11);
    record(&mut db, &first, retry(20), 12);
    let second = due(&mut db, 20).claimed.remove(0);
    assert_eq!((second.delivery, second.attempts), (first.delivery, 1));
    assert_eq!(sequences(std::slice::from_ref(&second)), [[1, 2]]);
    assert_eq!(claim(&mut db, 20 + 45), [[1, 2]], "the lease ended");
    drop(db);
    let mut db = Db::open(&path, at(70)).unwrap();
    let last = due(&mut db, 70).claimed.remove(0);
    assert_eq!(sequences(std::slice::from_ref(&last)), [[1, 2]]);
    record(&mut db, &last, AttemptResult::Done, 71);
    assert_eq!(states(&db), [Done, Done, Pending]);
    assert_eq!(claim(&mut db, 72), [[3]]);
}

#[test]
fn what_becomes_of_it_becomes_of_each_and_each_shows_its_attempts() {
    let mut db = db();
    write(&mut db, joins("c", 1..=3, &["ops"]), 0);
    let claimed = due(&mut db, 10).claimed.remove(0);
    record(&mut db, &claimed, retry(20), 11);
    let again = due(&mut db, 20).claimed.remove(0);
    record(&mut db, &again, AttemptResult::Dead { reason: "rejected" }, 21);
    assert_eq!(states(&db), [Dead, Dead, Dead]);
    let all = rows(&db);
    let batch = all[0].batch.clone().unwrap();
    assert!(batch.starts_with("bat_") && !batch.contains('.'), "{batch}");
    for row in &all {
        assert_eq!((row.attempts, row.reason.as_deref(), row.batch.as_ref()), (2, Some("rejected"), Some(&batch)));
        assert_eq!(row.finished_at, Some(at(21)));
        assert_eq!(db.delivery(row.delivery).unwrap().unwrap().attempts.len(), 2);
    }
    let summary = db.outbox_summary().unwrap().remove(0);
    assert_eq!((summary.pending, summary.dead), (0, 3));

    let second = all[1].delivery;
    assert_eq!(db.repair(&AdminRequest::Replay(vec![second]), at(30)).unwrap(), 1);
    assert_eq!(claim(&mut db, 30), [[2]], "replayed it goes in a batch of its own, and at once");
    assert_eq!(rows(&db)[0].batch, Some(batch), "the old one is still known");
}

#[test]
fn a_leave_that_is_held_back_is_in_no_batch_before_its_time() {
    let mut db = db();
    configure(&mut db, EndpointConfig { settle: Duration::from_secs(60), ..config() });
    let mut left = event("c", 2, &["ops"]);
    left.event = meetwatch::model::EventType::ParticipantLeft;
    write(
        &mut db,
        commit("c", vec![event("c", 1, &["ops"]), left, event("c", 3, &["ops"]), event("c", 4, &["ops"])]),
        0,
    );
    let first = due(&mut db, 10).claimed.remove(0);
    assert_eq!(sequences(std::slice::from_ref(&first)), [[1]]);
    record(&mut db, &first, AttemptResult::Done, 11);
    assert_eq!(due(&mut db, 11).next_due, Some(at(60)));
    assert_eq!(claim(&mut db, 60), [[2, 3, 4]]);
}

#[test]
fn what_is_too_old_joins_none_and_a_frozen_one_goes_whole_until_all_of_it_is() {
    let mut db = db();
    configure(&mut db, EndpointConfig { max_age: Some(Duration::from_secs(100)), ..config() });
    let timed = |sequence: u64, seconds: i64| {
        let mut event = event("c", sequence, &["ops"]);
        event.time = at(seconds);
        event
    };
    write(&mut db, commit("c", vec![timed(1, 0), timed(2, 50), timed(3, 80)]), 90);
    let reply = due(&mut db, 101);
    assert_eq!((sequences(&reply.claimed), reply.expired), (vec![vec![2, 3]], 1));
    record(&mut db, &reply.claimed[0], retry(160), 102);
    let again = due(&mut db, 160).claimed.remove(0);
    assert_eq!(sequences(std::slice::from_ref(&again)), [[2, 3]], "one of them is not too old");
    record(&mut db, &again, retry(200), 161);
    let reply = due(&mut db, 200);
    assert_eq!((reply.claimed.len(), reply.expired), (0, 2));
    assert_eq!(states(&db), [Expired, Expired, Expired]);
    assert_eq!(db.outbox_summary().unwrap()[0].pending, 0);
}

#[test]
fn in_trouble_a_whole_batch_probes_and_is_given_up_when_the_window_of_its_last_is_over() {
    let mut db = db();
    write(&mut db, joins("c", 1..=1, &["ops"]), 0);
    write(&mut db, joins("c", 2..=2, &["ops"]), 9);
    let first = due(&mut db, 10).claimed.remove(0);
    assert_eq!(first.owed_at, at(9), "the youngest has its whole window");
    record(&mut db, &first, retry(500), 11);
    let probe = |window| Pick::Probe { not_of: Vec::new(), window: Duration::from_secs(window) };
    let reply = ask(&mut db, probe(100), 105);
    assert_eq!((sequences(&reply.claimed), reply.buried), (vec![vec![1, 2]], 0));
    record(&mut db, &reply.claimed[0], retry(500), 106);
    let reply = ask(&mut db, probe(100), 110);
    assert_eq!((reply.claimed.len(), reply.buried), (0, 2));
    assert_eq!(states(&db), [Dead, Dead]);
}

#[test]
fn an_endpoint_that_takes_no_batches_any_more_gets_what_was_in_one_alone() {
    let mut db = db();
    write(&mut db, joins("c", 1..=2, &["ops"]), 0);
    let first = due(&mut db, 10).claimed.remove(0);
    record(&mut db, &first, retry(20), 11);
    configure(&mut db, EndpointConfig { batching: None, ..config() });
    let alone = due(&mut db, 20).claimed;
    assert!(alone.len() == 1 && alone[0].batch.is_none(), "{alone:?}");
    record(&mut db, &alone[0], AttemptResult::Done, 21);
    assert_eq!(states(&db), [Done, Pending], "what is said of one is said of no other");
    let second = due(&mut db, 22).claimed.remove(0);
    assert!(second.batch.is_none());
    record(&mut db, &second, retry(30), 23);
    configure(&mut db, config());
    assert_eq!(claim(&mut db, 30), [[2]], "and the other way round");
}

#[test]
fn an_operator_who_skips_takes_nothing_out_of_what_is_being_sent() {
    let mut db = db();
    write(&mut db, joins("c", 1..=2, &["ops"]), 0);
    let claimed = due(&mut db, 10).claimed.remove(0);
    let all: Vec<DeliveryId> = rows(&db).iter().map(|row| row.delivery).collect();
    assert_eq!(db.repair(&AdminRequest::Skip(all.clone()), at(11)).unwrap(), 0);
    record(&mut db, &claimed, retry(20), 12);
    assert_eq!(db.repair(&AdminRequest::Skip(all), at(13)).unwrap(), 2);
    assert_eq!(states(&db), [Expired, Expired]);
}

#[test]
fn no_batch_is_larger_than_a_receiver_can_be_expected_to_take() {
    let mut db = db();
    let big = |sequence| {
        let mut event = event("c", sequence, &["ops"]);
        event.body = format!(r#"{{"sequence":{sequence},"x":"{}"}}"#, "x".repeat(100_000)).into();
        event
    };
    write(&mut db, commit("c", (1..=4).map(big).collect()), 0);
    assert_eq!(claim(&mut db, 10), [[1, 2]]);
}
