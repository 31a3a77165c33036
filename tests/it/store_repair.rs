//! What an operator sees of the outbox, and how it is mended.

use std::time::Duration;

use meetwatch::clock::Clock;
use meetwatch::store::{
    AdminRequest, AttemptRecord, AttemptResult, AttemptRow, ClaimRequest, Claimed, Db, DeliveryFilter, DeliveryId,
    DeliveryState, EndpointConfig, OutboxRequest, Pick, Replay, ResumeFrom, Store, StoreMetrics, StoredBreaker,
};
use prometheus::Registry;

use crate::store_samples::*;

fn claim_as(db: &mut Db, pick: Pick, seconds: i64) -> Vec<Claimed> {
    let claim = ClaimRequest {
        endpoint: endpoint("ops"),
        pick,
        lease: Duration::from_secs(45),
        longest_wait: Duration::from_secs(50_000),
    };
    let request = OutboxRequest { claims: vec![claim], ..OutboxRequest::default() };
    db.exchange(&request, at(seconds)).unwrap().endpoints.remove(0).claimed
}

fn claim(db: &mut Db, seconds: i64) -> Vec<Claimed> {
    claim_as(db, Pick::Due { limit: 100, run: 1 }, seconds)
}

fn record(db: &mut Db, claimed: &Claimed, result: AttemptResult, seconds: i64) {
    let reason = if result == AttemptResult::Done { None } else { Some("server_error") };
    let attempt = AttemptRow {
        began_at: at(seconds),
        duration: Duration::from_millis(3),
        status: Some(500),
        reason,
        answer: Some("no room".into()),
    };
    let record = AttemptRecord { delivery: claimed.delivery, claim: claimed.claim, attempt: Some(attempt), result };
    let request = OutboxRequest { records: vec![record], ..OutboxRequest::default() };
    assert!(db.exchange(&request, at(seconds)).unwrap().stale.is_empty());
}

/// Three of `c` and one of `d` are owed to `ops`, and `c/1` is dead.
fn db() -> Db {
    let mut db = Db::in_memory(noon()).unwrap();
    for commit in [joins("c", 1..=3, &["ops"]), joins("d", 1..=1, &["ops", "audit"])] {
        db.commit_group(&[commit], noon()).pop().unwrap().unwrap();
    }
    let claimed = claim(&mut db, 0);
    record(&mut db, &claimed[0], AttemptResult::Dead { reason: "rejected" }, 1);
    let put_off = AttemptResult::Retry { at: at(100), hold_until: at(1000), failures: 1, rejections: 0 };
    record(&mut db, &claimed[1], put_off, 1);
    db
}

fn list(db: &Db, filter: DeliveryFilter) -> Vec<(String, DeliveryState)> {
    let page = db.list_deliveries(&DeliveryFilter { limit: 100, ..filter }).unwrap();
    page.deliveries
        .into_iter()
        .map(|row| (format!("{}/{}", &row.conference.unwrap().as_str()[18..], row.sequence.unwrap()), row.state))
        .collect()
}

use DeliveryState::{Dead, Done, Expired, Pending};

#[test]
fn deliveries_are_listed_by_endpoint_state_conference_event_and_age_page_by_page() {
    let db = db();
    let ops = DeliveryFilter { endpoint: Some(endpoint("ops")), ..DeliveryFilter::default() };
    let all: Vec<_> = list(&db, ops.clone()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(all, ["d/1", "c/3", "c/2", "c/1"]);
    assert_eq!(list(&db, DeliveryFilter { states: vec![Dead], ..ops.clone() }), [("c/1".to_owned(), Dead)]);
    assert_eq!(list(&db, DeliveryFilter::skipped(endpoint("ops"), None, 9)), [("c/1".to_owned(), Dead)]);
    let d = DeliveryFilter { conference: Some(conference("d")), ..DeliveryFilter::default() };
    assert_eq!(list(&db, d).len(), 2, "to both endpoints");
    let one = DeliveryFilter { event: Some(event("d", 1, &[]).id), ..ops.clone() };
    assert_eq!(list(&db, one), [("d/1".to_owned(), Pending)]);
    assert!(list(&db, DeliveryFilter { from: Some(at(1)), ..ops.clone() }).is_empty());
    assert!(list(&db, DeliveryFilter { until: Some(noon()), ..ops.clone() }).is_empty());

    let first = db.list_deliveries(&DeliveryFilter { limit: 3, ..ops.clone() }).unwrap();
    assert_eq!(first.deliveries.len(), 3);
    let second = db.list_deliveries(&DeliveryFilter { limit: 3, before: first.next, ..ops }).unwrap();
    assert_eq!((second.deliveries.len(), second.next), (1, None));
}

#[test]
fn a_delivery_is_shown_with_all_its_attempts() {
    let mut db = db();
    let again = claim(&mut db, 100).into_iter().find(|claimed| claimed.attempts == 1).unwrap();
    record(&mut db, &again, AttemptResult::Done, 101);
    let shown = db.delivery(again.delivery).unwrap().unwrap();
    assert_eq!((shown.row.state, shown.row.attempts, shown.row.reason.as_deref()), (Done, 2, None));
    let attempts: Vec<_> = shown.attempts.iter().map(|attempt| (attempt.number, attempt.began_at)).collect();
    assert_eq!(attempts, [(1, at(1)), (2, at(101))]);
    assert_eq!(shown.attempts[0].answer.as_deref(), Some("no room"));
    assert_eq!(shown.attempts[0].duration, Duration::from_millis(3));
    assert_eq!(&*shown.body, r#"{"schema":1,"sequence":1}"#);
    assert_eq!(db.delivery(DeliveryId(999)).unwrap(), None);
    let counts = db.attempts_since(noon()).unwrap();
    assert_eq!((counts[0].arrived, counts[0].failed), (1, 2));
}

#[test]
fn a_replayed_delivery_comes_before_what_waits_and_begins_a_new_window() {
    let mut db = db();
    let dead = db.list_deliveries(&DeliveryFilter::skipped(endpoint("ops"), None, 9)).unwrap().deliveries.remove(0);
    assert_eq!(db.repair(&AdminRequest::Replay(vec![dead.delivery]), at(500)).unwrap(), 1);
    assert_eq!(db.repair(&AdminRequest::Replay(vec![dead.delivery]), at(500)).unwrap(), 0, "it is owed already");
    let summary = db.outbox_summary().unwrap().into_iter().find(|of| of.endpoint == endpoint("ops")).unwrap();
    assert_eq!((summary.pending, summary.dead), (4, 0));
    let claimed = claim(&mut db, 500);
    let replayed = claimed.iter().find(|claimed| claimed.delivery == dead.delivery).unwrap();
    assert_eq!((replayed.owed_at, replayed.attempts, replayed.failures), (at(500), 1, 0));
    assert!(!claimed.iter().any(|claimed| claimed.event == event("c", 2, &[]).id), "it waits");
    record(&mut db, replayed, AttemptResult::Done, 501);
    assert_eq!(claim(&mut db, 501)[0].event, event("c", 2, &[]).id);
}

#[test]
fn a_delivery_that_is_replayed_while_another_of_its_lane_is_sent_waits_for_it() {
    let mut db = db();
    let sending = claim_as(&mut db, Pick::Due { limit: 100, run: 9 }, 2);
    assert_eq!(sending.len(), 2, "c/2 and c/3 in one run");
    assert_eq!(db.repair(&AdminRequest::Replay(vec![DeliveryId(1)]), at(3)).unwrap(), 1);
    assert!(claim(&mut db, 3).is_empty());
    record(&mut db, &sending[0], AttemptResult::Done, 4);
    assert!(claim(&mut db, 4).is_empty(), "the run goes on");
    record(&mut db, &sending[1], AttemptResult::Done, 5);
    assert_eq!(claim(&mut db, 5)[0].delivery, DeliveryId(1));
}

#[test]
fn an_endpoint_that_is_enabled_is_well_until_it_shows_otherwise() {
    let mut db = db();
    let open = StoredBreaker::Open { since: at(2), probes: 3, probe_at: at(600) };
    let request = OutboxRequest { breakers: vec![(endpoint("ops"), open)], ..OutboxRequest::default() };
    db.exchange(&request, at(2)).unwrap();
    assert!(claim(&mut db, 3).is_empty(), "only probes may be claimed");
    db.repair(&AdminRequest::Disable(endpoint("ops")), at(3)).unwrap();
    let probe = Pick::Probe { not_of: Vec::new(), window: Duration::from_secs(9999) };
    assert!(claim_as(&mut db, probe, 3).is_empty(), "off is off");
    db.repair(&AdminRequest::Enable(endpoint("ops")), at(4)).unwrap();
    assert_eq!(claim(&mut db, 4).len(), 2, "all is due, what had been put off too");
}

#[test]
fn an_order_that_is_given_up_or_asked_for_takes_hold_of_what_is_owed_already() {
    let mut db = db();
    let config = |ordered| {
        let name = endpoint("ops");
        AdminRequest::Configure(vec![EndpointConfig {
            name,
            ordered,
            settle: Duration::ZERO,
            max_age: None,
            batching: None,
        }])
    };
    db.repair(&config(false), at(2)).unwrap();
    let claimed = claim(&mut db, 2);
    assert_eq!(claimed.len(), 2, "c/2 and c/3 side by side");
    for claimed in &claimed {
        record(&mut db, claimed, AttemptResult::Release, 3);
    }
    db.repair(&config(true), at(3)).unwrap();
    assert_eq!(claim(&mut db, 3).len(), 1);
}

#[test]
fn what_is_too_old_expires_and_what_is_replayed_is_sent_however_old() {
    let mut db = db();
    let config = EndpointConfig {
        name: endpoint("ops"),
        ordered: true,
        settle: Duration::ZERO,
        max_age: Some(Duration::from_secs(3600)),
        batching: None,
    };
    db.repair(&AdminRequest::Configure(vec![config]), at(2)).unwrap();
    assert!(claim_as(&mut db, Pick::Due { limit: 100, run: 9 }, 3601).is_empty());
    let ops = DeliveryFilter { endpoint: Some(endpoint("ops")), ..DeliveryFilter::default() };
    let states: Vec<_> = list(&db, ops).into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, [Expired, Expired, Expired, Dead]);
    db.repair(&AdminRequest::Replay(vec![DeliveryId(2)]), at(4000)).unwrap();
    assert_eq!(claim(&mut db, 4000).len(), 1);
}

#[test]
fn in_trouble_what_passed_its_window_is_given_up_without_an_attempt() {
    let mut db = db();
    let open = StoredBreaker::Open { since: at(2), probes: 3, probe_at: at(600) };
    let request = OutboxRequest { breakers: vec![(endpoint("ops"), open)], ..OutboxRequest::default() };
    db.exchange(&request, at(2)).unwrap();
    let probe = Pick::Probe { not_of: Vec::new(), window: Duration::from_secs(3600) };
    assert_eq!(claim_as(&mut db, probe.clone(), 3600).len(), 1);
    db.commit_group(&[joins("e", 1..=1, &["ops"])], at(3601)).pop().unwrap().unwrap();
    let probe = claim_as(&mut db, probe, 3602).remove(0);
    assert_eq!(probe.event, event("e", 1, &[]).id, "all others but the one that is being sent are given up");
}

#[tokio::test]
async fn replaying_skipping_and_deleting_go_through_everything() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = StoreMetrics::register(&Registry::new()).unwrap();
    let store = Store::open(&folder.path().join("meetwatch.db"), Clock::new(), metrics).unwrap();
    let now = noon();
    for number in 0..30 {
        store.commit(joins(&format!("c{number}"), 1..=100, &["ops"]), now).await.unwrap();
    }
    assert_eq!(store.enable(endpoint("ops"), ResumeFrom::Now, at(1)).await.unwrap(), 3000);
    let summary = store.outbox_summary().await.unwrap().remove(0);
    assert_eq!((summary.enabled, summary.pending, summary.expired), (true, 0, 3000));

    let range = Replay::Range { endpoint: endpoint("ops"), from: now, until: at(1) };
    assert_eq!(store.replay(range, at(2)).await.unwrap(), 3000);
    assert_eq!(store.replay(Replay::Dead(endpoint("ops")), at(2)).await.unwrap(), 0);
    assert_eq!(store.outbox_summary().await.unwrap()[0].pending, 3000);

    assert_eq!(store.remove_orphan(endpoint("ops"), at(3)).await.unwrap(), 0, "it is configured");
    store.configure(Vec::new(), at(3)).await.unwrap();
    assert!(store.outbox_summary().await.unwrap()[0].orphaned);
    assert_eq!(store.remove_orphan(endpoint("ops"), at(3)).await.unwrap(), 3000);
    assert!(store.outbox_summary().await.unwrap().is_empty());
}
