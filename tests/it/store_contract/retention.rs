//! What is older than the retention is deleted in small steps; unfinished, live and young rows stay; what is deleted is
//! not emitted again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use meetwatch::clock::Now;
use meetwatch::model::Source;
use meetwatch::store::{
    AttemptRecord, AttemptResult, AttemptRow, ClaimRequest, ClockCheck, ClockDoubt, Commit, OutboxRequest, Phase, Pick,
    PruneCursor, PruneRequest,
};

use super::{Backend, Durable, contract_tests};
use crate::store_samples::*;

contract_tests!(
    small_steps_delete_the_same_rows_and_no_step_exceeds_its_limit,
    an_unfinished_delivery_keeps_its_conference_however_old_it_is,
    the_backlog_of_an_endpoint_that_is_off_stays,
    dead_deliveries_stay_for_the_retention_after_their_end,
    a_conference_that_is_not_closed_stays_whole_however_old_it_is,
    a_conference_that_ended_long_ago_and_was_observed_just_now_stays_for_the_retention,
    events_without_a_conference_are_deleted_one_by_one,
    a_tombstone_is_deleted_when_no_listing_can_show_its_conference_any_more;
    durable: pruning_waits_while_the_clock_is_in_doubt_also_after_a_restart
);

/// In seconds.
const DAY: i64 = 86_400;

/// Everything happened at noon, and the retention is 30 days. Returns the time so many days later.
pub(crate) fn after(days: i64) -> Timestamp {
    at(days * DAY)
}

pub(crate) fn request(now: Timestamp, rows: u32) -> PruneRequest {
    let ago = |days: i64| now - SignedDuration::from_secs(days * DAY);
    PruneRequest { cutoff: ago(30), tombstone_cutoff: ago(31), from: PruneCursor::START, rows }
}

/// Makes a whole pass. Returns how many rows were deleted, and in how many steps.
pub(crate) fn prune(db: &mut impl Backend, now: Timestamp, rows: u32) -> (u32, u32) {
    let (mut request, mut sum, mut steps) = (request(now, rows), 0, 0);
    loop {
        let pruned = db.write(request, now).unwrap();
        // A delivery of an event without a conference may come on top.
        assert!(pruned.rows <= rows + 1, "a step deleted {} of {rows} rows", pruned.rows);
        (sum, steps) = (sum + pruned.rows, steps + 1);
        match pruned.next {
            Some(next) => request.from = next,
            None => return (sum, steps),
        }
    }
}

pub(crate) fn write(db: &mut impl Backend, commit: Commit) {
    db.write(commit, noon()).unwrap();
}

/// Returns a conference that ended at noon, with so many events, participants and sessions.
pub(crate) fn ended(id: &str, phase: Phase, events: u64, owed_to: &[&str]) -> Commit {
    let mut commit = joins(id, 1..=events, owed_to);
    let conference = commit.conference.as_mut().unwrap();
    (conference.phase, conference.end) = (phase, Some((noon(), Source::Google)));
    commit.participants = (1..=events).map(|number| participant_row(id, &format!("p{number}"))).collect();
    commit.sessions = (1..=events).map(|number| session_row(id, &format!("p{number}"), "s")).collect();
    commit
}

pub(crate) fn closed(id: &str, events: u64, owed_to: &[&str]) -> Commit {
    ended(id, Phase::Closed, events, owed_to)
}

/// Claims what is due on an endpoint, and returns records of it that say it arrived.
fn claim(db: &mut impl Backend, name: &str, now: Timestamp) -> OutboxRequest {
    let claims = vec![ClaimRequest {
        endpoint: endpoint(name),
        pick: Pick::Due { limit: 100, run: 1 },
        lease: Duration::from_secs(60),
        longest_wait: Duration::from_secs(86_400),
    }];
    let reply = db.write(OutboxRequest { claims, ..OutboxRequest::default() }, now).unwrap();
    let attempt =
        || AttemptRow { began_at: now, duration: Duration::ZERO, status: Some(200), reason: None, answer: None };
    let records = reply.endpoints[0].claimed.iter().map(|claimed| AttemptRecord {
        delivery: claimed.delivery,
        claim: claimed.claim,
        attempt: Some(attempt()),
        result: AttemptResult::Done,
    });
    OutboxRequest { records: records.collect(), ..OutboxRequest::default() }
}

/// Claims everything that is due on an endpoint and records it with this result.
pub(crate) fn finish_all(db: &mut impl Backend, name: &str, now: Timestamp, result: &AttemptResult) {
    loop {
        let mut answer = claim(db, name, now);
        if answer.records.is_empty() {
            return;
        }
        for record in &mut answer.records {
            record.result = result.clone();
        }
        db.write(answer, now).unwrap();
    }
}

/// Checks the clock, after an earlier check of the same process if there was one.
fn check(db: &mut impl Backend, previous: Option<Now>, now: Now) -> Option<ClockDoubt> {
    db.write(ClockCheck { previous, now }, now.wall).unwrap()
}

fn small_steps_delete_the_same_rows_and_no_step_exceeds_its_limit<B: Backend>() {
    for step in [1, 2, 3, 10, 29] {
        let mut db = B::create();
        for id in ["a", "b", "c"] {
            write(&mut db, closed(id, 5, &["ops"]));
        }
        write(&mut db, ended("live", Phase::Ended, 5, &["ops"]));
        finish_all(&mut db, "ops", at(60), &AttemptResult::Done);
        let (gone, steps) = prune(&mut db, after(31), step);
        assert_eq!(gone, 3 * 21, "in steps of {step}");
        assert!(steps >= 63 / step, "{steps} steps of {step}");
        assert_eq!(db.load_unfinished().unwrap().len(), 1);
        assert_eq!(db.finished().unwrap().len(), 3);
    }
}

fn an_unfinished_delivery_keeps_its_conference_however_old_it_is<B: Backend>() {
    let mut db = B::create();
    write(&mut db, closed("owed", 3, &["ops", "audit"]));
    finish_all(&mut db, "ops", at(60), &AttemptResult::Done);
    assert_eq!(prune(&mut db, after(3000), 1000).0, 0);
    finish_all(&mut db, "audit", after(3000), &AttemptResult::Done);
    assert_eq!(prune(&mut db, after(3029), 1000).0, 0, "it arrived less than the retention ago");
    assert!(prune(&mut db, after(3031), 1000).0 > 0);
}

fn the_backlog_of_an_endpoint_that_is_off_stays<B: Backend>() {
    let mut db = B::create();
    write(&mut db, closed("c", 3, &["ops"]));
    finish_all(&mut db, "ops", at(60), &AttemptResult::EndpointOff { reason: "gone" });
    assert_eq!(prune(&mut db, after(3000), 1000).0, 0);
    assert_eq!(db.outbox_summary().unwrap()[0].pending, 3);
}

fn dead_deliveries_stay_for_the_retention_after_their_end<B: Backend>() {
    let mut db = B::create();
    write(&mut db, closed("c", 2, &["ops"]));
    finish_all(&mut db, "ops", after(10), &AttemptResult::Dead { reason: "expired" });
    assert_eq!(prune(&mut db, after(39), 1000).0, 0);
    assert_eq!(db.outbox_summary().unwrap()[0].dead, 2);
    assert!(prune(&mut db, after(41), 1000).0 > 0);
    assert_eq!(db.outbox_summary().unwrap()[0].dead, 0);
}

fn a_conference_that_is_not_closed_stays_whole_however_old_it_is<B: Backend>() {
    let mut db = B::create();
    write(&mut db, joins("live", 1..=3, &[]));
    write(&mut db, ended("ended", Phase::Ended, 3, &[]));
    assert_eq!(prune(&mut db, after(3000), 1000).0, 0);
    assert_eq!(db.load_unfinished().unwrap().len(), 2);
    assert_eq!(db.log_after(0, 10).unwrap().len(), 6);
}

fn a_conference_that_ended_long_ago_and_was_observed_just_now_stays_for_the_retention<B: Backend>() {
    let mut db = B::create();
    let mut commit = closed("late", 1, &[]);
    commit.events[0].observed_at = after(100);
    write(&mut db, commit);
    assert_eq!(prune(&mut db, after(129), 1000).0, 0);
    assert!(prune(&mut db, after(131), 1000).0 > 0);
}

fn events_without_a_conference_are_deleted_one_by_one<B: Backend>() {
    let mut db = B::create();
    let gaps = (0..5).map(|day| {
        let mut gap = lone_gap(day, if day == 1 { &["ops"] } else { &[] });
        gap.observed_at = after(day * 10);
        gap
    });
    write(&mut db, Commit { events: gaps.collect(), ..Commit::default() });
    // Days 0 and 10 are old, but the second has a pending delivery.
    assert_eq!(prune(&mut db, after(45), 2).0, 1);
    finish_all(&mut db, "ops", after(45), &AttemptResult::Done);
    assert_eq!(prune(&mut db, after(46), 2).0, 0, "it arrived less than the retention ago");
    assert_eq!(prune(&mut db, after(76), 2).0, 4 + 1, "four events and a delivery");
    assert!(db.log_after(0, 10).unwrap().is_empty());
}

fn a_tombstone_is_deleted_when_no_listing_can_show_its_conference_any_more<B: Backend>() {
    let mut db = B::create();
    write(&mut db, closed("c", 1, &[]));
    prune(&mut db, after(31), 1000);
    assert_eq!(prune(&mut db, after(61), 1000).0, 0);
    assert!(db.finished().unwrap().contains(&conference("c")), "Google may show it for 30 days after its end");
    assert_eq!(prune(&mut db, after(63), 1000).0, 1);
    assert!(!db.finished().unwrap().contains(&conference("c")));
}

fn pruning_waits_while_the_clock_is_in_doubt_also_after_a_restart<B: Durable>() {
    let moment = |hours: u64, wall: Timestamp| Now { mono: Duration::from_secs(hours * 3600), wall };
    let mut db = B::create();
    write(&mut db, closed("c", 1, &[]));
    let first = moment(0, at(3600));
    assert_eq!(check(&mut db, None, first), None);
    // An hour later the clock says that ten years have passed.
    let wrong = moment(1, after(3650));
    assert!(matches!(check(&mut db, Some(first), wrong), Some(ClockDoubt::Leapt { .. })));
    let mut db = db.reopen(after(3650));
    assert!(matches!(check(&mut db, None, moment(0, after(3650))), Some(ClockDoubt::Leapt { .. })));
    // It is corrected.
    assert!(matches!(check(&mut db, None, moment(0, at(7200))), Some(ClockDoubt::Leapt { .. })));
    assert_eq!(check(&mut db, None, moment(0, at(7200 + DAY))), None);
    // It goes back by more than the allowed skew.
    assert_eq!(check(&mut db, None, moment(0, at(-3600))), Some(ClockDoubt::Behind));
}
