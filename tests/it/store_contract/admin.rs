//! Listing deliveries, and changing the outbox for an operator.

use std::time::Duration;

use meetwatch::model::MeetingCode;
use meetwatch::store::{
    AdminRequest, AttemptRecord, AttemptResult, AttemptRow, ClaimRequest, Claimed, ConferenceSelector, DeliveryFilter,
    DeliveryId, DeliveryState, EndpointConfig, OutboxRequest, Pick, StoredBreaker,
};

use super::{Backend, contract_tests};
use crate::store_samples::*;

contract_tests!(
    deliveries_are_listed_by_endpoint_state_conference_event_and_age_page_by_page,
    a_delivery_is_shown_with_all_its_attempts,
    a_replayed_delivery_goes_before_the_later_ones_of_its_lane_and_begins_a_new_window,
    a_delivery_that_is_replayed_while_another_of_its_lane_is_sent_waits_for_it,
    enabling_an_endpoint_closes_its_breaker,
    a_changed_order_applies_to_pending_deliveries,
    a_delivery_that_is_too_old_expires_and_a_replayed_one_is_sent_however_old,
    while_the_breaker_is_open_a_delivery_past_its_window_dies_without_an_attempt,
);

fn claim_as(db: &mut impl Backend, pick: Pick, seconds: i64) -> Vec<Claimed> {
    let claim = ClaimRequest {
        endpoint: endpoint("ops"),
        pick,
        lease: Duration::from_secs(45),
        longest_wait: Duration::from_secs(50_000),
    };
    let request = OutboxRequest { claims: vec![claim], ..OutboxRequest::default() };
    db.write(request, at(seconds)).unwrap().endpoints.remove(0).claimed
}

fn claim(db: &mut impl Backend, seconds: i64) -> Vec<Claimed> {
    claim_as(db, Pick::Due { limit: 100, run: 1 }, seconds)
}

fn record(db: &mut impl Backend, claimed: &Claimed, result: AttemptResult, seconds: i64) {
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
    assert!(db.write(request, at(seconds)).unwrap().stale.is_empty());
}

/// Creates a store in which `ops` has three deliveries of `c` and one of `d`; `c/1` is dead.
fn db<B: Backend>() -> B {
    let mut db = B::create();
    let mut of_d = joins("d", 1..=1, &["ops", "audit"]);
    of_d.conference.as_mut().unwrap().meeting_code = Some(MeetingCode::parse("abc-mnop-xyz").unwrap());
    for commit in [joins("c", 1..=3, &["ops"]), of_d] {
        db.write(commit, noon()).unwrap();
    }
    let claimed = claim(&mut db, 0);
    record(&mut db, &claimed[0], AttemptResult::Dead { reason: "rejected" }, 1);
    let put_off = AttemptResult::Retry { at: at(100), hold_until: at(1000), failures: 1, rejections: 0 };
    record(&mut db, &claimed[1], put_off, 1);
    db
}

fn list(db: &impl Backend, filter: DeliveryFilter) -> Vec<(String, DeliveryState)> {
    let page = db.list_deliveries(&DeliveryFilter { limit: 100, ..filter }).unwrap();
    page.deliveries
        .into_iter()
        .map(|row| (format!("{}/{}", &row.conference.unwrap().as_str()[18..], row.sequence.unwrap()), row.state))
        .collect()
}

use DeliveryState::{Dead, Done, Expired, Pending};

fn deliveries_are_listed_by_endpoint_state_conference_event_and_age_page_by_page<B: Backend>() {
    let db: B = db();
    let ops = DeliveryFilter { endpoint: Some(endpoint("ops")), ..DeliveryFilter::default() };
    let all: Vec<_> = list(&db, ops.clone()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(all, ["d/1", "c/3", "c/2", "c/1"]);
    assert_eq!(list(&db, DeliveryFilter { states: vec![Dead], ..ops.clone() }), [("c/1".to_owned(), Dead)]);
    assert_eq!(list(&db, DeliveryFilter::skipped(endpoint("ops"), None, 9)), [("c/1".to_owned(), Dead)]);
    let d = DeliveryFilter { conference: Some(ConferenceSelector::Name(conference("d"))), ..DeliveryFilter::default() };
    assert_eq!(list(&db, d).len(), 2, "to both endpoints");
    let by_code = |code: &str| {
        let code = ConferenceSelector::Code(MeetingCode::parse(code).unwrap());
        list(&db, DeliveryFilter { conference: Some(code), ..DeliveryFilter::default() }).len()
    };
    assert_eq!([by_code("abc-mnop-xyz"), by_code("zzz-zzzz-zzz")], [2, 0]);
    let one = DeliveryFilter { event: Some(event("d", 1, &[]).id), ..ops.clone() };
    assert_eq!(list(&db, one), [("d/1".to_owned(), Pending)]);
    assert!(list(&db, DeliveryFilter { from: Some(at(1)), ..ops.clone() }).is_empty());
    assert!(list(&db, DeliveryFilter { until: Some(noon()), ..ops.clone() }).is_empty());

    let first = db.list_deliveries(&DeliveryFilter { limit: 3, ..ops.clone() }).unwrap();
    assert_eq!(first.deliveries.len(), 3);
    let second = db.list_deliveries(&DeliveryFilter { limit: 3, before: first.next, ..ops }).unwrap();
    assert_eq!((second.deliveries.len(), second.next), (1, None));
}

fn a_delivery_is_shown_with_all_its_attempts<B: Backend>() {
    let mut db: B = db();
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

fn a_replayed_delivery_goes_before_the_later_ones_of_its_lane_and_begins_a_new_window<B: Backend>() {
    let mut db: B = db();
    let dead = db.list_deliveries(&DeliveryFilter::skipped(endpoint("ops"), None, 9)).unwrap().deliveries.remove(0);
    assert_eq!(db.write(AdminRequest::Replay(vec![dead.delivery]), at(500)).unwrap(), 1);
    assert_eq!(db.write(AdminRequest::Replay(vec![dead.delivery]), at(500)).unwrap(), 0, "it is pending already");
    let summary = db.outbox_summary().unwrap().into_iter().find(|of| of.endpoint == endpoint("ops")).unwrap();
    assert_eq!((summary.pending, summary.dead), (4, 0));
    let claimed = claim(&mut db, 500);
    let replayed = claimed.iter().find(|claimed| claimed.delivery == dead.delivery).unwrap();
    assert_eq!((replayed.owed_at, replayed.attempts, replayed.failures), (at(500), 1, 0));
    assert!(!claimed.iter().any(|claimed| claimed.event == event("c", 2, &[]).id), "it waits");
    record(&mut db, replayed, AttemptResult::Done, 501);
    assert_eq!(claim(&mut db, 501)[0].event, event("c", 2, &[]).id);
}

fn a_delivery_that_is_replayed_while_another_of_its_lane_is_sent_waits_for_it<B: Backend>() {
    let mut db: B = db();
    let sending = claim_as(&mut db, Pick::Due { limit: 100, run: 9 }, 2);
    assert_eq!(sending.len(), 2, "c/2 and c/3 in one run");
    assert_eq!(db.write(AdminRequest::Replay(vec![DeliveryId(1)]), at(3)).unwrap(), 1);
    assert!(claim(&mut db, 3).is_empty());
    record(&mut db, &sending[0], AttemptResult::Done, 4);
    assert!(claim(&mut db, 4).is_empty(), "the run is not over");
    record(&mut db, &sending[1], AttemptResult::Done, 5);
    assert_eq!(claim(&mut db, 5)[0].delivery, DeliveryId(1));
}

fn enabling_an_endpoint_closes_its_breaker<B: Backend>() {
    let mut db: B = db();
    let open = StoredBreaker::Open { since: at(2), probes: 3, probe_at: at(600) };
    let request = OutboxRequest { breakers: vec![(endpoint("ops"), open)], ..OutboxRequest::default() };
    db.write(request, at(2)).unwrap();
    assert!(claim(&mut db, 3).is_empty(), "only probes may be claimed");
    db.write(AdminRequest::Disable(endpoint("ops")), at(3)).unwrap();
    let probe = Pick::Probe { not_of: Vec::new(), window: Duration::from_secs(9999) };
    assert!(claim_as(&mut db, probe, 3).is_empty(), "not even a probe while it is off");
    db.write(AdminRequest::Enable(endpoint("ops")), at(4)).unwrap();
    assert_eq!(claim(&mut db, 4).len(), 2, "everything is due, also what waited for a retry");
}

fn a_changed_order_applies_to_pending_deliveries<B: Backend>() {
    let mut db: B = db();
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
    db.write(config(false), at(2)).unwrap();
    let claimed = claim(&mut db, 2);
    assert_eq!(claimed.len(), 2, "c/2 and c/3 at the same time");
    for claimed in &claimed {
        record(&mut db, claimed, AttemptResult::Release, 3);
    }
    db.write(config(true), at(3)).unwrap();
    assert_eq!(claim(&mut db, 3).len(), 1);
}

fn a_delivery_that_is_too_old_expires_and_a_replayed_one_is_sent_however_old<B: Backend>() {
    let mut db: B = db();
    let config = EndpointConfig {
        name: endpoint("ops"),
        ordered: true,
        settle: Duration::ZERO,
        max_age: Some(Duration::from_secs(3600)),
        batching: None,
    };
    db.write(AdminRequest::Configure(vec![config]), at(2)).unwrap();
    assert!(claim_as(&mut db, Pick::Due { limit: 100, run: 9 }, 3601).is_empty());
    let ops = DeliveryFilter { endpoint: Some(endpoint("ops")), ..DeliveryFilter::default() };
    let states: Vec<_> = list(&db, ops).into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, [Expired, Expired, Expired, Dead]);
    db.write(AdminRequest::Replay(vec![DeliveryId(2)]), at(4000)).unwrap();
    assert_eq!(claim(&mut db, 4000).len(), 1);
}

fn while_the_breaker_is_open_a_delivery_past_its_window_dies_without_an_attempt<B: Backend>() {
    let mut db: B = db();
    let open = StoredBreaker::Open { since: at(2), probes: 3, probe_at: at(600) };
    let request = OutboxRequest { breakers: vec![(endpoint("ops"), open)], ..OutboxRequest::default() };
    db.write(request, at(2)).unwrap();
    let probe = Pick::Probe { not_of: Vec::new(), window: Duration::from_secs(3600) };
    assert_eq!(claim_as(&mut db, probe.clone(), 3600).len(), 1);
    db.write(joins("e", 1..=1, &["ops"]), at(3601)).unwrap();
    let probe = claim_as(&mut db, probe, 3602).remove(0);
    assert_eq!(probe.event, event("e", 1, &[]).id, "all others are dead, except the one that is being sent");
}
