//! Which endpoint gets which event, in which order deliveries are claimed, and that one holder has a delivery at a
//! time.

use std::time::Duration;

use meetwatch::store::{
    AdminRequest, AttemptRecord, AttemptResult, AttemptRow, ClaimRequest, Claimed, Commit, DeliveryFilter,
    DeliveryState, EndpointReply, OutboxRequest, Pick,
};

use super::{Backend, Durable, contract_tests};
use crate::store_samples::*;

contract_tests!(
    conferences_are_sent_in_parallel_and_each_in_its_own_order,
    the_next_of_a_lane_is_claimed_in_the_round_that_finishes_the_one_before,
    a_correction_goes_to_every_endpoint_that_has_the_corrected_event_whatever_the_filters_say,
    a_correction_in_the_same_commit_as_the_corrected_event_has_one_delivery,
    a_retry_waits_for_its_time_and_keeps_its_place,
    a_head_with_nothing_behind_it_may_wait_beyond_its_hold_until_something_is,
    events_without_a_conference_have_a_lane_of_their_own,
    a_lease_that_ran_out_is_void_unless_its_holder_still_has_it_in_flight,
    an_endpoint_that_is_off_keeps_its_backlog_and_nothing_is_claimed_for_it,
    a_due_time_from_a_clock_that_jumped_is_moved_to_the_longest_wait,
    what_was_committed_while_the_clock_was_ten_years_ahead_counts_from_now,
    the_counters_agree_with_the_rows;
    durable: leases_are_void_after_a_restart
);

const LEASE: Duration = Duration::from_secs(45);

fn db<B: Backend>(commits: &[Commit]) -> B {
    let mut db = B::create();
    write(&mut db, commits);
    db
}

fn write(db: &mut impl Backend, commits: &[Commit]) {
    for result in db.write_all(commits.to_vec(), noon()) {
        result.unwrap();
    }
}

fn claim_from(name: &str) -> ClaimRequest {
    ClaimRequest {
        endpoint: endpoint(name),
        pick: Pick::Due { limit: 100, run: 1 },
        lease: LEASE,
        longest_wait: Duration::from_secs(15 * 3600),
    }
}

fn ask(db: &mut impl Backend, name: &str, seconds: i64) -> EndpointReply {
    let request = OutboxRequest { claims: vec![claim_from(name)], ..OutboxRequest::default() };
    db.write(request, at(seconds)).unwrap().endpoints.remove(0)
}

fn claim(db: &mut impl Backend, name: &str, seconds: i64) -> Vec<Claimed> {
    ask(db, name, seconds).claimed
}

fn bodies(claimed: &[Claimed]) -> Vec<String> {
    let mut all: Vec<_> = claimed
        .iter()
        .map(|claimed| {
            format!(
                "{}/{}",
                claimed.conference.as_ref().map_or("-", |c| &c.as_str()[18..]),
                &claimed.body[23..claimed.body.len() - 1]
            )
        })
        .collect();
    all.sort();
    all
}

fn record(db: &mut impl Backend, claimed: &Claimed, result: AttemptResult, seconds: i64) -> bool {
    let reason = if result == AttemptResult::Done { None } else { Some("server_error") };
    let attempt = AttemptRow {
        began_at: at(seconds),
        duration: Duration::from_millis(3),
        status: Some(200),
        reason,
        answer: None,
    };
    let record = AttemptRecord { delivery: claimed.delivery, claim: claimed.claim, attempt: Some(attempt), result };
    let request = OutboxRequest { records: vec![record], ..OutboxRequest::default() };
    db.write(request, at(seconds)).unwrap().stale.is_empty()
}

fn retry(seconds: i64, hold: i64) -> AttemptResult {
    AttemptResult::Retry { at: at(seconds), hold_until: at(hold), failures: 1, rejections: 0 }
}

fn conferences_are_sent_in_parallel_and_each_in_its_own_order<B: Backend>() {
    let mut db: B = db(&[joins("c", 1..=3, &["ops"]), joins("d", 1..=1, &["ops", "audit"])]);
    let first = claim(&mut db, "ops", 1);
    assert_eq!(bodies(&first), ["c/1", "d/1"]);
    assert!(claim(&mut db, "ops", 2).is_empty(), "a leased delivery is not claimed again");
    assert_eq!(bodies(&claim(&mut db, "audit", 2)), ["d/1"]);

    let c = first.iter().find(|claimed| claimed.conference == Some(conference("c"))).unwrap();
    assert_eq!((c.previous.clone(), c.others_wait), (None, true));
    assert!(record(&mut db, c, AttemptResult::Done, 3));
    let second = claim(&mut db, "ops", 3);
    assert_eq!(bodies(&second), ["c/2"]);
    assert_eq!(second[0].previous, Some(event("c", 1, &[]).id));

    assert!(record(&mut db, &second[0], AttemptResult::Dead { reason: "expired" }, 4));
    assert_eq!(bodies(&claim(&mut db, "ops", 4)), ["c/3"], "a dead delivery blocks no other");
}

fn the_next_of_a_lane_is_claimed_in_the_round_that_finishes_the_one_before<B: Backend>() {
    let mut db: B = db(&[joins("c", 1..=2, &["ops"])]);
    let first = claim(&mut db, "ops", 1).remove(0);
    let record =
        AttemptRecord { delivery: first.delivery, claim: first.claim, attempt: None, result: AttemptResult::Done };
    let request = OutboxRequest { records: vec![record], claims: vec![claim_from("ops")], ..OutboxRequest::default() };
    let reply = db.write(request, at(2)).unwrap();
    assert_eq!(bodies(&reply.endpoints[0].claimed), ["c/2"]);
}

fn a_correction_goes_to_every_endpoint_that_has_the_corrected_event_whatever_the_filters_say<B: Backend>() {
    let mut db: B = db(&[joins("c", 1..=1, &["ops"])]);
    let mut taken_back = retraction("c", 2, &event("c", 1, &[]).id);
    taken_back.owed_to = vec![endpoint("audit")];
    write(&mut db, &[commit("c", vec![taken_back])]);

    let first = claim(&mut db, "ops", 1).remove(0);
    assert!(record(&mut db, &first, AttemptResult::Done, 1));
    let second = claim(&mut db, "ops", 2).remove(0);
    assert_eq!(second.event, retraction("c", 2, &first.event).id);
    assert_eq!(second.previous, Some(first.event));
    let audit = claim(&mut db, "audit", 2).remove(0);
    assert_eq!((audit.event, audit.previous), (second.event, None));
}

fn a_correction_in_the_same_commit_as_the_corrected_event_has_one_delivery<B: Backend>() {
    let mut db: B = db(&[]);
    let mut taken_back = retraction("c", 2, &event("c", 1, &[]).id);
    taken_back.owed_to = vec![endpoint("ops")];
    write(&mut db, &[commit("c", vec![event("c", 1, &["ops"]), taken_back])]);
    assert_eq!(db.outbox_summary().unwrap()[0].pending, 2);
}

fn a_retry_waits_for_its_time_and_keeps_its_place<B: Backend>() {
    let mut db: B = db(&[joins("c", 1..=2, &["ops"])]);
    let first = claim(&mut db, "ops", 0).remove(0);
    assert!(record(&mut db, &first, retry(5, 21_600), 1));
    let reply = ask(&mut db, "ops", 4);
    assert_eq!((reply.claimed.len(), reply.next_due), (0, Some(at(5))));
    let again = claim(&mut db, "ops", 5).remove(0);
    assert_eq!((again.delivery, again.attempts, again.tried_since), (first.delivery, 1, Some(at(1))));
    assert_eq!(again.claim, first.claim + 1);
    assert!(!record(&mut db, &first, AttemptResult::Done, 6), "a record of an earlier claim changes nothing");
    assert!(record(&mut db, &again, AttemptResult::Done, 6));
    assert_eq!(bodies(&claim(&mut db, "ops", 6)), ["c/2"]);
}

fn a_head_with_nothing_behind_it_may_wait_beyond_its_hold_until_something_is<B: Backend>() {
    let mut db: B = db(&[joins("c", 1..=1, &["ops"])]);
    let first = claim(&mut db, "ops", 0).remove(0);
    assert!(record(&mut db, &first, retry(40_000, 21_600), 1));
    assert_eq!(ask(&mut db, "ops", 2).next_due, Some(at(40_000)));
    write(&mut db, &[joins("c", 2..=2, &["ops"])]);
    assert_eq!(ask(&mut db, "ops", 2).next_due, Some(at(21_600)));

    let again = claim(&mut db, "ops", 21_600).remove(0);
    assert!(again.others_wait);
    assert!(record(&mut db, &again, retry(99_000, 21_600), 21_601));
    assert_eq!(ask(&mut db, "ops", 21_600).next_due, Some(at(21_601)), "its hold is over: it is due at once");
}

fn events_without_a_conference_have_a_lane_of_their_own<B: Backend>() {
    let gaps = Commit { events: vec![lone_gap(1, &["ops"]), lone_gap(2, &["ops"])], ..Commit::default() };
    let mut db: B = db(&[joins("c", 1..=1, &["ops"]), gaps]);
    let claimed = claim(&mut db, "ops", 1);
    assert_eq!(bodies(&claimed), ["-/1", "c/1"]);
    let gap = claimed.iter().find(|claimed| claimed.conference.is_none()).unwrap();
    assert!(record(&mut db, gap, AttemptResult::Done, 2));
    let next = claim(&mut db, "ops", 2).remove(0);
    assert_eq!((next.event, next.previous), (lone_gap(2, &[]).id, None));
}

fn a_lease_that_ran_out_is_void_unless_its_holder_still_has_it_in_flight<B: Backend>() {
    let mut db: B = db(&[joins("c", 1..=1, &["ops"])]);
    let first = claim(&mut db, "ops", 0).remove(0);
    let still_at_it =
        OutboxRequest { claims: vec![claim_from("ops")], in_flight: vec![first.delivery], ..OutboxRequest::default() };
    assert!(db.write(still_at_it, at(3600)).unwrap().endpoints[0].claimed.is_empty());
    assert!(claim(&mut db, "ops", 44).is_empty());
    assert_eq!(claim(&mut db, "ops", 45).len(), 1);
}

fn leases_are_void_after_a_restart<B: Durable>() {
    let mut db = B::create();
    write(&mut db, &[joins("c", 1..=1, &["ops"])]);
    let first = claim(&mut db, "ops", 0).remove(0);
    let mut db = db.reopen(at(1));
    let again = claim(&mut db, "ops", 1).remove(0);
    assert_eq!(again.delivery, first.delivery);
    assert_eq!(again.attempts, 0);
}

fn an_endpoint_that_is_off_keeps_its_backlog_and_nothing_is_claimed_for_it<B: Backend>() {
    let mut db: B = db(&[joins("c", 1..=2, &["ops", "audit"])]);
    let first = claim(&mut db, "ops", 0).remove(0);
    assert!(record(&mut db, &first, AttemptResult::EndpointOff { reason: "gone" }, 1));
    let reply = ask(&mut db, "ops", 2);
    assert_eq!((reply.enabled, reply.claimed.len(), reply.next_due), (false, 0, None));
    assert_eq!(claim(&mut db, "audit", 2).len(), 1);
    let summary = db.outbox_summary().unwrap();
    assert_eq!((summary[1].enabled, summary[1].pending, summary[1].dead), (false, 2, 0));

    db.write(AdminRequest::Enable(endpoint("ops")), at(3)).unwrap();
    assert_eq!(bodies(&claim(&mut db, "ops", 3)), ["c/1"]);
}

fn a_due_time_from_a_clock_that_jumped_is_moved_to_the_longest_wait<B: Backend>() {
    let mut db: B = db(&[joins("c", 1..=1, &["ops"])]);
    let first = claim(&mut db, "ops", 0).remove(0);
    assert!(record(&mut db, &first, retry(30 * 86_400, 31 * 86_400), 1));
    assert_eq!(ask(&mut db, "ops", 2).next_due, Some(at(2 + 15 * 3600)));
}

fn what_was_committed_while_the_clock_was_ten_years_ahead_counts_from_now<B: Backend>() {
    let wrong = 3650 * 86_400;
    let mut db = B::create();
    db.write(joins("c", 1..=1, &["ops"]), at(wrong)).unwrap();
    let first = claim(&mut db, "ops", wrong).remove(0);
    assert!(record(&mut db, &first, retry(wrong + 60, wrong + 3600), wrong + 1));
    // The clock is corrected: it is due after the longest wait at the latest, and its window begins now.
    let due = ask(&mut db, "ops", 0).next_due.unwrap();
    assert_eq!(due, at(15 * 3600));
    let second = claim(&mut db, "ops", 15 * 3600).remove(0);
    assert_eq!((second.owed_at, second.tried_since), (due, Some(due)));
    assert!(record(&mut db, &second, retry(15 * 3600 + 60, 16 * 3600), 15 * 3600 + 1));
    let third = claim(&mut db, "ops", 15 * 3600 + 60).remove(0);
    assert_eq!((third.owed_at, third.tried_since), (due, Some(due)), "the window begins once");
}

fn the_counters_agree_with_the_rows<B: Backend>() {
    let mut db: B = db(&[joins("c", 1..=3, &["ops"]), joins("d", 1..=1, &["ops"])]);
    let claimed = claim(&mut db, "ops", 0);
    assert!(record(&mut db, &claimed[0], AttemptResult::Done, 1));
    assert!(record(&mut db, &claimed[1], AttemptResult::Dead { reason: "rejected" }, 1));
    let summary = db.outbox_summary().unwrap().remove(0);
    let rows = db.list_deliveries(&DeliveryFilter { limit: 100, ..DeliveryFilter::default() }).unwrap().deliveries;
    let count = |states: &[DeliveryState]| rows.iter().filter(|row| states.contains(&row.state)).count() as u64;
    assert_eq!(summary.pending, count(&[DeliveryState::Pending, DeliveryState::Leased]));
    assert_eq!((summary.pending, summary.dead), (2, count(&[DeliveryState::Dead])));
    assert_eq!(summary.oldest_pending, Some(noon()));
    for sequence in 2..=3 {
        let claimed = claim(&mut db, "ops", sequence).remove(0);
        assert!(record(&mut db, &claimed, AttemptResult::Done, sequence));
    }
    let summary = db.outbox_summary().unwrap().remove(0);
    assert_eq!((summary.pending, summary.dead, summary.oldest_pending), (0, 1, None));
}
