//! A leave that undoes itself within its endpoint's `settle` is never sent there, and everybody else sees everything.

use std::time::Duration;

use meetwatch::model::EventType;
use meetwatch::store::{
    AdminRequest, AttemptRecord, AttemptResult, ClaimRequest, Claimed, Db, DeliveryFilter, DeliveryState,
    EndpointConfig, NewEvent, OutboxRequest, Pick,
};

use crate::store_samples::*;

const SETTLE: Duration = Duration::from_secs(60);

fn config(name: &str, settle: Duration) -> EndpointConfig {
    EndpointConfig { name: endpoint(name), ordered: true, settle, max_age: None, batching: None }
}

fn db() -> Db {
    let mut db = Db::in_memory(noon()).unwrap();
    let configs = vec![config("calm", SETTLE), config("raw", Duration::ZERO)];
    db.write(AdminRequest::Configure(configs), noon()).unwrap();
    db
}

/// Ada's event of this type, as the `sequence`th of the conference, wanted by both.
fn of_ada(kind: EventType, sequence: u64) -> NewEvent {
    NewEvent {
        event: kind,
        participant: Some(participant("c", "ada")),
        time: at(i64::try_from(sequence).unwrap()),
        ..event("c", sequence, &["calm", "raw"])
    }
}

fn write(db: &mut Db, event: NewEvent, seconds: i64) {
    db.write(commit("c", vec![event]), at(seconds)).unwrap();
}

/// What can be claimed now, as the sequence and the sequence of what came before; all of it arrives.
fn arrives(db: &mut Db, name: &str, seconds: i64) -> Vec<u64> {
    let mut all = Vec::new();
    loop {
        let claimed = claim(db, name, seconds);
        if claimed.is_empty() {
            return all;
        }
        all.extend(claimed.iter().map(sequence));
        let records = claimed.iter().map(|claimed| AttemptRecord {
            delivery: claimed.delivery,
            claim: claimed.claim,
            attempt: None,
            result: AttemptResult::Done,
        });
        let request = OutboxRequest { records: records.collect(), ..OutboxRequest::default() };
        assert!(db.write(request, at(seconds)).unwrap().stale.is_empty());
    }
}

fn claim(db: &mut Db, name: &str, seconds: i64) -> Vec<Claimed> {
    let claim = ClaimRequest {
        endpoint: endpoint(name),
        pick: Pick::Due { limit: 100, run: 100 },
        lease: Duration::from_secs(45),
        longest_wait: Duration::from_secs(50_000),
    };
    let request = OutboxRequest { claims: vec![claim], ..OutboxRequest::default() };
    db.write(request, at(seconds)).unwrap().endpoints.remove(0).claimed
}

fn sequence(claimed: &Claimed) -> u64 {
    let body: serde_json::Value = serde_json::from_str(&claimed.body).unwrap();
    body["sequence"].as_u64().unwrap()
}

fn states(db: &Db, name: &str) -> Vec<DeliveryState> {
    let filter = DeliveryFilter { endpoint: Some(endpoint(name)), limit: 100, ..DeliveryFilter::default() };
    let mut rows = db.list_deliveries(&filter).unwrap().deliveries;
    rows.reverse();
    rows.into_iter().map(|row| row.state).collect()
}

use DeliveryState::{Done, Pending, Settled};
use EventType::{EventRetracted, ParticipantJoined, ParticipantLeft, SessionStarted};

#[test]
fn a_leave_and_a_return_within_the_time_are_both_settled_and_a_raw_endpoint_sees_both() {
    let mut db = db();
    write(&mut db, of_ada(ParticipantJoined, 1), 0);
    write(&mut db, of_ada(ParticipantLeft, 2), 10);
    assert_eq!(arrives(&mut db, "calm", 10), [1]);
    write(&mut db, of_ada(ParticipantJoined, 3), 69);
    assert_eq!(states(&db, "calm"), [Done, Settled, Settled]);
    write(&mut db, of_ada(SessionStarted, 4), 70);
    let next = claim(&mut db, "calm", 70).remove(0);
    assert_eq!((sequence(&next), next.previous), (4, Some(event("c", 1, &[]).id)), "for the receiver 4 follows 1");
    assert_eq!(arrives(&mut db, "raw", 70), [1, 2, 3, 4]);
    let summary = db.outbox_summary().unwrap();
    assert_eq!((summary[0].settled, summary[0].pending), (2, 1));
    assert_eq!((summary[1].settled, summary[1].pending), (0, 0));
}

#[test]
fn a_leave_that_lasts_is_sent_when_its_time_is_over_and_what_came_after_it_waits_with_it() {
    let mut db = db();
    write(&mut db, of_ada(ParticipantLeft, 1), 0);
    write(&mut db, of_ada(SessionStarted, 2), 1);
    assert!(arrives(&mut db, "calm", 59).is_empty());
    assert_eq!(arrives(&mut db, "calm", 60), [1, 2]);
    write(&mut db, of_ada(ParticipantJoined, 3), 61);
    assert_eq!(arrives(&mut db, "calm", 61), [3]);
}

#[test]
fn a_return_after_the_time_settles_nothing_even_if_the_leave_was_not_sent_yet() {
    let mut db = db();
    write(&mut db, of_ada(ParticipantLeft, 1), 0);
    write(&mut db, of_ada(ParticipantJoined, 2), 60);
    assert_eq!(arrives(&mut db, "calm", 60), [1, 2]);
}

#[test]
fn a_leave_that_may_have_arrived_is_not_settled_even_if_the_clock_was_set_back() {
    let mut db = db();
    write(&mut db, of_ada(ParticipantLeft, 1), 0);
    let leave = claim(&mut db, "calm", 60).remove(0);
    let result = AttemptResult::Release;
    let records = vec![AttemptRecord { delivery: leave.delivery, claim: leave.claim, attempt: None, result }];
    db.write(OutboxRequest { records, ..OutboxRequest::default() }, at(60)).unwrap();
    write(&mut db, of_ada(ParticipantJoined, 2), 30);
    assert_eq!(arrives(&mut db, "calm", 60), [1, 2]);
}

#[test]
fn somebody_elses_return_settles_nothing() {
    let mut db = db();
    write(&mut db, of_ada(ParticipantLeft, 1), 0);
    write(&mut db, event("c", 2, &["calm"]), 1);
    assert_eq!(states(&db, "calm"), [Pending, Pending]);
}

#[test]
fn a_leave_that_was_none_is_settled_with_its_retraction() {
    let mut db = db();
    let left = of_ada(ParticipantLeft, 1);
    write(&mut db, left.clone(), 0);
    let taken_back = NewEvent { takes_back: Some(left.id), ..of_ada(EventRetracted, 2) };
    write(&mut db, taken_back, 30);
    assert_eq!(states(&db, "calm"), [Settled, Settled]);
    assert_eq!(arrives(&mut db, "raw", 30), [1, 2]);
}

#[test]
fn a_leave_that_is_corrected_while_it_is_held_back_is_held_back_in_its_new_form() {
    let mut db = db();
    let left = of_ada(ParticipantLeft, 1);
    write(&mut db, left.clone(), 0);
    write(&mut db, NewEvent { takes_back: Some(left.id), ..of_ada(ParticipantLeft, 2) }, 30);
    assert_eq!(states(&db, "calm"), [Settled, Pending]);
    assert!(arrives(&mut db, "calm", 89).is_empty());
    write(&mut db, of_ada(ParticipantJoined, 3), 89);
    assert_eq!(states(&db, "calm"), [Settled, Settled, Settled]);
}

#[test]
fn what_takes_back_a_settled_event_is_settled_too() {
    let mut db = db();
    let (left, joined) = (of_ada(ParticipantLeft, 1), of_ada(ParticipantJoined, 2));
    write(&mut db, left.clone(), 0);
    write(&mut db, joined.clone(), 10);
    write(&mut db, NewEvent { takes_back: Some(left.id), ..of_ada(EventRetracted, 3) }, 500);
    write(&mut db, NewEvent { takes_back: Some(joined.id), ..of_ada(EventRetracted, 4) }, 500);
    assert_eq!(states(&db, "calm"), [Settled; 4]);
    assert_eq!(arrives(&mut db, "raw", 500), [1, 2, 3, 4]);
}

#[test]
fn a_correction_of_a_leave_that_was_sent_goes_at_once() {
    let mut db = db();
    let left = of_ada(ParticipantLeft, 1);
    write(&mut db, left.clone(), 0);
    assert_eq!(arrives(&mut db, "calm", 60), [1]);
    write(&mut db, NewEvent { takes_back: Some(left.id), ..of_ada(ParticipantLeft, 2) }, 61);
    assert_eq!(arrives(&mut db, "calm", 61), [2]);
}

#[test]
fn a_visit_learnt_of_late_within_a_settled_absence_is_settled_too() {
    let mut db = db();
    write(&mut db, of_ada(ParticipantLeft, 1), 0);
    let mut back = of_ada(ParticipantJoined, 2);
    back.time = at(50);
    write(&mut db, back, 50);
    for (kind, sequence, seconds) in [(ParticipantJoined, 3, 20), (ParticipantLeft, 4, 30)] {
        write(&mut db, NewEvent { time: at(seconds), ..of_ada(kind, sequence) }, 200);
    }
    assert_eq!(states(&db, "calm"), [Settled; 4]);
}

#[test]
fn what_is_held_back_is_held_back_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meetwatch.db");
    let mut db = Db::open(&path, noon()).unwrap();
    db.write(AdminRequest::Configure(vec![config("calm", SETTLE)]), noon()).unwrap();
    write(&mut db, of_ada(ParticipantLeft, 1), 0);
    drop(db);
    let mut db = Db::open(&path, at(20)).unwrap();
    assert!(arrives(&mut db, "calm", 20).is_empty());
    write(&mut db, of_ada(ParticipantJoined, 2), 30);
    assert_eq!(states(&db, "calm")[0], Settled);
}

#[test]
fn a_return_settles_no_leave_that_another_return_has_undone_already() {
    let mut db = db();
    let mut tell = |kind, sequence, happened, told| {
        write(&mut db, NewEvent { time: at(happened), ..of_ada(kind, sequence) }, told);
    };
    tell(ParticipantJoined, 1, 0, 0);
    tell(ParticipantLeft, 2, 10, 100);
    // A visit learnt of late, and then one within the absence that is settled before it.
    tell(ParticipantJoined, 3, 50, 200);
    tell(ParticipantJoined, 4, 20, 201);
    tell(ParticipantLeft, 5, 30, 201);
    tell(ParticipantLeft, 6, 80, 210);
    tell(ParticipantJoined, 7, 90, 215);
    tell(ParticipantJoined, 8, 84, 216);
    tell(ParticipantLeft, 9, 86, 216);
    let calm = states(&db, "calm");
    assert_eq!(calm[5..], [Settled; 4], "6 and 7 are one absence, and 8 and 9 lie within it");
    assert_eq!(calm[4], Pending, "5 was undone by 3, which was sent");
}
