//! A leave that is undone while it is held back is not sent, and neither is what undid it. `webhook_settle` has the
//! rest.

use std::time::Duration;

use meetwatch::model::EventType;
use meetwatch::store::{
    AdminRequest, ClaimRequest, Claimed, DeliveryFilter, DeliveryState, EndpointConfig, NewEvent, OutboxRequest, Pick,
};

use super::{Backend, contract_tests};
use crate::store_samples::*;

contract_tests!(
    a_leave_and_the_rejoin_that_undoes_it_are_settled,
    a_leave_that_nothing_undoes_is_due_when_its_hold_ends,
    a_retracted_leave_is_settled_with_its_retraction,
);

/// Created with one endpoint that holds leaves back for a minute.
fn create<B: Backend>() -> B {
    let mut db = B::create();
    let name = endpoint("calm");
    let settle = Duration::from_secs(60);
    let config = EndpointConfig { name, ordered: true, settle, max_age: None, batching: None };
    db.write(AdminRequest::Configure(vec![config]), noon()).unwrap();
    db
}

/// An event about the one person of these cases.
fn of_person(sequence: u64, event_type: EventType, seconds: i64) -> NewEvent {
    let participant = event("c", 1, &[]).participant;
    NewEvent { event: event_type, participant, time: at(seconds), ..event("c", sequence, &["calm"]) }
}

fn write(db: &mut impl Backend, event: NewEvent, seconds: i64) {
    db.write(commit("c", vec![event]), at(seconds)).unwrap();
}

fn claim(db: &mut impl Backend, seconds: i64) -> Vec<Claimed> {
    let claim = ClaimRequest {
        endpoint: endpoint("calm"),
        pick: Pick::Due { limit: 100, run: 100 },
        lease: Duration::from_secs(45),
        longest_wait: Duration::from_secs(50_000),
    };
    let request = OutboxRequest { claims: vec![claim], ..OutboxRequest::default() };
    db.write(request, at(seconds)).unwrap().endpoints.remove(0).claimed
}

/// The states of all deliveries, the oldest first.
fn states(db: &impl Backend) -> Vec<DeliveryState> {
    let page = db.list_deliveries(&DeliveryFilter::all_of(endpoint("calm"))).unwrap();
    page.deliveries.into_iter().rev().map(|row| row.state).collect()
}

use DeliveryState::{Leased, Pending, Settled};

fn a_leave_and_the_rejoin_that_undoes_it_are_settled<B: Backend>() {
    let mut db: B = create();
    write(&mut db, of_person(1, EventType::ParticipantJoined, 0), 0);
    write(&mut db, of_person(2, EventType::ParticipantLeft, 10), 11);
    write(&mut db, of_person(3, EventType::ParticipantJoined, 20), 21);
    assert_eq!(states(&db), [Pending, Settled, Settled]);
    assert_eq!(claim(&mut db, 100).len(), 1);
    assert_eq!(db.outbox_summary().unwrap()[0].settled, 2);
}

fn a_leave_that_nothing_undoes_is_due_when_its_hold_ends<B: Backend>() {
    let mut db: B = create();
    write(&mut db, of_person(1, EventType::ParticipantLeft, 10), 11);
    assert!(claim(&mut db, 70).is_empty());
    assert_eq!(claim(&mut db, 71).len(), 1);
    write(&mut db, of_person(2, EventType::ParticipantJoined, 60), 72);
    assert_eq!(states(&db), [Leased, Pending], "what was claimed may have arrived");
}

fn a_retracted_leave_is_settled_with_its_retraction<B: Backend>() {
    let mut db: B = create();
    let leave = of_person(1, EventType::ParticipantLeft, 10);
    write(&mut db, leave.clone(), 11);
    write(&mut db, retraction("c", 2, &leave.id), 12);
    assert_eq!(states(&db), [Settled, Settled]);
}
