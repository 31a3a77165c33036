//! Which events are sent together, when a batch is frozen, and that its record holds for every member.

use std::time::Duration;

use meetwatch::store::{
    AdminRequest, AttemptRecord, AttemptResult, AttemptRow, Batching, ClaimRequest, Claimed, Commit, DeliveryFilter,
    DeliveryId, DeliveryRow, DeliveryState, EndpointConfig, EndpointReply, OutboxRequest, Pick,
};

use super::{Backend, Durable, contract_tests};
use crate::store_samples::*;

contract_tests!(
    the_first_event_waits_for_others_and_is_sent_with_those_that_came,
    a_full_batch_is_due_at_once_and_the_next_waits_from_its_own_commit,
    conferences_are_not_mixed,
    the_result_of_a_batch_is_that_of_each_member_and_each_shows_its_attempts,
    a_leave_that_is_held_back_is_in_no_batch_before_its_time,
    an_event_that_is_too_old_joins_no_batch_and_a_frozen_one_is_sent_whole_until_all_of_it_is_too_old,
    a_whole_batch_probes_an_open_breaker_and_dies_when_the_window_of_its_last_member_is_over,
    an_endpoint_that_takes_no_batches_any_more_gets_the_members_alone,
    a_batch_that_is_being_sent_is_not_skipped,
    a_batch_is_bounded_in_bytes;
    durable: a_frozen_batch_is_the_same_after_a_failure_a_lost_lease_and_a_restart
);

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

fn configure(db: &mut impl Backend, config: EndpointConfig) {
    db.write(AdminRequest::Configure(vec![config]), noon()).unwrap();
}

fn db<B: Backend>() -> B {
    let mut db = B::create();
    configure(&mut db, config());
    db
}

fn write(db: &mut impl Backend, commit: Commit, seconds: i64) {
    db.write(commit, at(seconds)).unwrap();
}

fn ask(db: &mut impl Backend, pick: Pick, seconds: i64) -> EndpointReply {
    let (lease, longest_wait) = (Duration::from_secs(45), Duration::from_secs(50_000));
    let claim = ClaimRequest { endpoint: endpoint("ops"), pick, lease, longest_wait };
    let request = OutboxRequest { claims: vec![claim], ..OutboxRequest::default() };
    db.write(request, at(seconds)).unwrap().endpoints.remove(0)
}

fn due(db: &mut impl Backend, seconds: i64) -> EndpointReply {
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

fn claim(db: &mut impl Backend, seconds: i64) -> Vec<Vec<u64>> {
    sequences(&due(db, seconds).claimed)
}

fn record(db: &mut impl Backend, claimed: &Claimed, result: AttemptResult, seconds: i64) {
    let reason = if result == AttemptResult::Done { None } else { Some("server_error") };
    let (began_at, duration) = (at(seconds), Duration::from_millis(3));
    let attempt = AttemptRow { began_at, duration, status: Some(500), reason, answer: None };
    let record = AttemptRecord { delivery: claimed.delivery, claim: claimed.claim, attempt: Some(attempt), result };
    let request = OutboxRequest { records: vec![record], ..OutboxRequest::default() };
    assert!(db.write(request, at(seconds)).unwrap().stale.is_empty());
}

fn retry(seconds: i64) -> AttemptResult {
    AttemptResult::Retry { at: at(seconds), hold_until: at(10_000), failures: 1, rejections: 0 }
}

/// The oldest first.
fn rows(db: &impl Backend) -> Vec<DeliveryRow> {
    let mut rows = db.list_deliveries(&DeliveryFilter { limit: 1000, ..DeliveryFilter::default() }).unwrap().deliveries;
    rows.reverse();
    rows
}

fn states(db: &impl Backend) -> Vec<DeliveryState> {
    rows(db).into_iter().map(|row| row.state).collect()
}

use DeliveryState::{Dead, Done, Expired, Pending};

fn the_first_event_waits_for_others_and_is_sent_with_those_that_came<B: Backend>() {
    let mut db: B = db();
    write(&mut db, joins("c", 1..=1, &["ops"]), 0);
    write(&mut db, joins("c", 2..=3, &["ops"]), 7);
    let waiting = due(&mut db, 9);
    assert_eq!((waiting.claimed.len(), waiting.next_due), (0, Some(at(10))));
    assert_eq!(claim(&mut db, 10), [[1, 2, 3]]);
}

fn a_full_batch_is_due_at_once_and_the_next_waits_from_its_own_commit<B: Backend>() {
    let mut db: B = db();
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

fn conferences_are_not_mixed<B: Backend>() {
    let mut db: B = db();
    write(&mut db, joins("c", 1..=2, &["ops"]), 0);
    write(&mut db, joins("d", 1..=1, &["ops"]), 0);
    let mut claimed = claim(&mut db, 10);
    claimed.sort();
    assert_eq!(claimed, [vec![1], vec![1, 2]]);
}

fn a_frozen_batch_is_the_same_after_a_failure_a_lost_lease_and_a_restart<B: Durable>() {
    let mut db = B::create();
    configure(&mut db, config());
    write(&mut db, joins("c", 1..=2, &["ops"]), 0);
    let first = due(&mut db, 10).claimed.remove(0);
    write(&mut db, joins("c", 3..=3, &["ops"]), 11);
    record(&mut db, &first, retry(20), 12);
    let second = due(&mut db, 20).claimed.remove(0);
    assert_eq!((second.delivery, second.attempts), (first.delivery, 1));
    assert_eq!(sequences(std::slice::from_ref(&second)), [[1, 2]]);
    assert_eq!(claim(&mut db, 20 + 45), [[1, 2]], "the lease ended");
    let mut db = db.reopen(at(70));
    let last = due(&mut db, 70).claimed.remove(0);
    assert_eq!(sequences(std::slice::from_ref(&last)), [[1, 2]]);
    record(&mut db, &last, AttemptResult::Done, 71);
    assert_eq!(states(&db), [Done, Done, Pending]);
    assert_eq!(claim(&mut db, 72), [[3]]);
}

fn the_result_of_a_batch_is_that_of_each_member_and_each_shows_its_attempts<B: Backend>() {
    let mut db: B = db();
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
    assert_eq!(db.write(AdminRequest::Replay(vec![second]), at(30)).unwrap(), 1);
    assert_eq!(claim(&mut db, 30), [[2]], "a replayed delivery is sent at once, in a new batch");
    assert_eq!(rows(&db)[0].batch, Some(batch), "the id of the old batch is kept");
}

fn a_leave_that_is_held_back_is_in_no_batch_before_its_time<B: Backend>() {
    let mut db: B = db();
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

fn an_event_that_is_too_old_joins_no_batch_and_a_frozen_one_is_sent_whole_until_all_of_it_is_too_old<B: Backend>() {
    let mut db: B = db();
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

fn a_whole_batch_probes_an_open_breaker_and_dies_when_the_window_of_its_last_member_is_over<B: Backend>() {
    let mut db: B = db();
    write(&mut db, joins("c", 1..=1, &["ops"]), 0);
    write(&mut db, joins("c", 2..=2, &["ops"]), 9);
    let first = due(&mut db, 10).claimed.remove(0);
    assert_eq!(first.owed_at, at(9), "the window counts from the youngest");
    record(&mut db, &first, retry(500), 11);
    let probe = |window| Pick::Probe { not_of: Vec::new(), window: Duration::from_secs(window) };
    let reply = ask(&mut db, probe(100), 105);
    assert_eq!((sequences(&reply.claimed), reply.buried), (vec![vec![1, 2]], 0));
    record(&mut db, &reply.claimed[0], retry(500), 106);
    let reply = ask(&mut db, probe(100), 110);
    assert_eq!((reply.claimed.len(), reply.buried), (0, 2));
    assert_eq!(states(&db), [Dead, Dead]);
}

fn an_endpoint_that_takes_no_batches_any_more_gets_the_members_alone<B: Backend>() {
    let mut db: B = db();
    write(&mut db, joins("c", 1..=2, &["ops"]), 0);
    let first = due(&mut db, 10).claimed.remove(0);
    record(&mut db, &first, retry(20), 11);
    configure(&mut db, EndpointConfig { batching: None, ..config() });
    let alone = due(&mut db, 20).claimed;
    assert!(alone.len() == 1 && alone[0].batch.is_none(), "{alone:?}");
    record(&mut db, &alone[0], AttemptResult::Done, 21);
    assert_eq!(states(&db), [Done, Pending], "the record holds for one delivery only");
    let second = due(&mut db, 22).claimed.remove(0);
    assert!(second.batch.is_none());
    record(&mut db, &second, retry(30), 23);
    configure(&mut db, config());
    assert_eq!(claim(&mut db, 30), [[2]], "switched on again, it is sent in a batch");
}

fn a_batch_that_is_being_sent_is_not_skipped<B: Backend>() {
    let mut db: B = db();
    write(&mut db, joins("c", 1..=2, &["ops"]), 0);
    let claimed = due(&mut db, 10).claimed.remove(0);
    let all: Vec<DeliveryId> = rows(&db).iter().map(|row| row.delivery).collect();
    assert_eq!(db.write(AdminRequest::Skip(all.clone()), at(11)).unwrap(), 0);
    record(&mut db, &claimed, retry(20), 12);
    assert_eq!(db.write(AdminRequest::Skip(all), at(13)).unwrap(), 2);
    assert_eq!(states(&db), [Expired, Expired]);
}

fn a_batch_is_bounded_in_bytes<B: Backend>() {
    let mut db: B = db();
    let big = |sequence| {
        let mut event = event("c", sequence, &["ops"]);
        event.body = format!(r#"{{"sequence":{sequence},"x":"{}"}}"#, "x".repeat(100_000)).into();
        event
    };
    write(&mut db, commit("c", (1..=4).map(big).collect()), 0);
    assert_eq!(claim(&mut db, 10), [[1, 2]]);
}
