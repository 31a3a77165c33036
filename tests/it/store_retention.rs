//! What is older than the retention goes, in small steps; what is owed, live or young stays; what is gone is not told again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use meetwatch::clock::{Clock, Now};
use meetwatch::model::Source;
use meetwatch::store::{
    AttemptRecord, AttemptResult, AttemptRow, ClaimRequest, ClockDoubt, Commit, Db, OutboxRequest, Phase, Pick,
    PruneCursor, PruneRequest, Store, StoreMetrics, retention_loop,
};
use prometheus::Registry;
use rusqlite::Connection;

use crate::store_samples::*;

const DAY: i64 = 86_400;

/// Everything happened at noon; the retention is 30 days. This many days have passed since.
fn after(days: i64) -> Timestamp {
    at(days * DAY)
}

fn request(now: Timestamp, rows: u32) -> PruneRequest {
    let ago = |days: i64| now - SignedDuration::from_secs(days * DAY);
    PruneRequest { cutoff: ago(30), forget: ago(31), from: PruneCursor::START, rows }
}

/// A whole pass. Returns how many rows went and in how many steps.
fn prune(db: &mut Db, now: Timestamp, rows: u32) -> (u32, u32) {
    let (mut request, mut sum, mut steps) = (request(now, rows), 0, 0);
    loop {
        let pruned = db.prune(&request, now).unwrap();
        // A delivery of an event of no conference may come on top.
        assert!(pruned.rows <= rows + 1, "a step deleted {} of {rows} rows", pruned.rows);
        (sum, steps) = (sum + pruned.rows, steps + 1);
        match pruned.next {
            Some(next) => request.from = next,
            None => return (sum, steps),
        }
    }
}

fn commit_well(db: &mut Db, commit: Commit) {
    db.commit_group(&[commit], noon()).pop().unwrap().unwrap();
}

/// A conference that ended at noon, with so many events, participants and sessions.
fn ended(id: &str, phase: Phase, events: u64, owed_to: &[&str]) -> Commit {
    let mut commit = joins(id, 1..=events, owed_to);
    let conference = commit.conference.as_mut().unwrap();
    (conference.phase, conference.end) = (phase, Some((noon(), Source::Google)));
    commit.participants = (1..=events).map(|number| participant_row(id, &format!("p{number}"))).collect();
    commit.sessions = (1..=events).map(|number| session_row(id, &format!("p{number}"), "s")).collect();
    commit
}

fn closed(id: &str, events: u64, owed_to: &[&str]) -> Commit {
    ended(id, Phase::Closed, events, owed_to)
}

fn claim(db: &mut Db, name: &str, now: Timestamp) -> OutboxRequest {
    let claims = vec![ClaimRequest {
        endpoint: endpoint(name),
        pick: Pick::Due { limit: 100, run: 1 },
        lease: Duration::from_secs(60),
        longest_wait: Duration::from_secs(86_400),
    }];
    let reply = db.exchange(&OutboxRequest { claims, ..OutboxRequest::default() }, now).unwrap();
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

/// Lets all that is due arrive at an endpoint, or be given up.
fn settle(db: &mut Db, name: &str, now: Timestamp, result: &AttemptResult) {
    loop {
        let mut answer = claim(db, name, now);
        if answer.records.is_empty() {
            return;
        }
        for record in &mut answer.records {
            record.result = result.clone();
        }
        db.exchange(&answer, now).unwrap();
    }
}

/// How many rows each table of the file has.
fn rows(path: &std::path::Path) -> Vec<(String, i64)> {
    let connection = Connection::open(path).unwrap();
    let tables = ["conferences", "participants", "sessions", "events", "deliveries", "attempts", "lanes", "tombstones"];
    let count = |table: &str| connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0));
    tables.iter().map(|table| ((*table).to_owned(), count(table).unwrap())).collect()
}

fn folder() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meetwatch.db");
    (folder, path)
}

#[test]
fn a_conference_that_is_old_goes_whole_and_is_not_told_again() {
    let (_folder, path) = folder();
    let mut db = Db::open(&path, noon()).unwrap();
    commit_well(&mut db, closed("old", 7, &["ops", "audit"]));
    settle(&mut db, "ops", at(60), &AttemptResult::Done);
    settle(&mut db, "audit", at(60), &AttemptResult::Dead { reason: "expired" });
    assert_eq!(db.outbox_summary().unwrap()[0].dead, 7);

    assert_eq!(prune(&mut db, after(30), 1000).0, 0, "it is not old yet");
    let (gone, _) = prune(&mut db, after(31), 1000);

    assert_eq!(gone, 7 + 7 + 7 + 14 + 1);
    assert!(rows(&path).iter().all(|(table, count)| (*count == 1) == (table == "tombstones") && *count <= 1));
    assert!(db.is_finished(&conference("old")).unwrap() && db.finished().unwrap().contains(&conference("old")));
    assert_eq!(db.outbox_summary().unwrap().iter().map(|summary| summary.dead).sum::<u64>(), 0);
    assert!(db.log_after(0, 10).unwrap().is_empty());
}

#[test]
fn small_steps_delete_the_same_and_none_deletes_more_than_it_may() {
    for step in [1, 2, 3, 10, 29] {
        let mut db = Db::in_memory(noon()).unwrap();
        for id in ["a", "b", "c"] {
            commit_well(&mut db, closed(id, 5, &["ops"]));
        }
        commit_well(&mut db, ended("live", Phase::Ended, 5, &["ops"]));
        settle(&mut db, "ops", at(60), &AttemptResult::Done);
        let (gone, steps) = prune(&mut db, after(31), step);
        assert_eq!(gone, 3 * 21, "in steps of {step}");
        assert!(steps >= 63 / step, "{steps} steps of {step}");
        assert_eq!(db.load_unfinished().unwrap().len(), 1);
        assert_eq!(db.finished().unwrap().len(), 3);
    }
}

#[test]
fn a_pass_that_dies_half_way_leaves_nothing_that_the_next_does_not_finish() {
    let (_folder, path) = folder();
    for dies_after in 0..12 {
        let mut db = Db::open(&path, noon()).unwrap();
        let id = format!("c{dies_after}");
        commit_well(&mut db, closed(&id, 6, &["ops"]));
        settle(&mut db, "ops", at(60), &AttemptResult::Done);
        let mut request = request(after(31), 2);
        for _ in 0..dies_after {
            request.from = db.prune(&request, after(31)).unwrap().next.unwrap();
        }
        drop(db);

        let mut db = Db::open(&path, after(31)).unwrap();
        assert!(db.is_finished(&conference(&id)).unwrap(), "it could be told again");
        assert!(db.load_unfinished().unwrap().is_empty());
        prune(&mut db, after(31), 1000);
        assert!(db.is_finished(&conference(&id)).unwrap(), "it could be told again");
    }
    let left: Vec<_> = rows(&path).into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(left, [("tombstones".to_owned(), 12)]);
}

#[test]
fn what_is_owed_stays_however_old_it_is() {
    let mut db = Db::in_memory(noon()).unwrap();
    commit_well(&mut db, closed("owed", 3, &["ops", "audit"]));
    settle(&mut db, "ops", at(60), &AttemptResult::Done);
    assert_eq!(prune(&mut db, after(3000), 1000).0, 0);
    settle(&mut db, "audit", after(3000), &AttemptResult::Done);
    assert_eq!(prune(&mut db, after(3029), 1000).0, 0, "it arrived less than the retention ago");
    assert!(prune(&mut db, after(3031), 1000).0 > 0);
}

#[test]
fn what_an_endpoint_that_is_off_is_owed_stays() {
    let mut db = Db::in_memory(noon()).unwrap();
    commit_well(&mut db, closed("c", 3, &["ops"]));
    settle(&mut db, "ops", at(60), &AttemptResult::EndpointOff { reason: "gone" });
    assert_eq!(prune(&mut db, after(3000), 1000).0, 0);
    assert_eq!(db.outbox_summary().unwrap()[0].pending, 3);
}

#[test]
fn dead_deliveries_can_be_looked_into_for_as_long_as_the_retention_after_their_death() {
    let mut db = Db::in_memory(noon()).unwrap();
    commit_well(&mut db, closed("c", 2, &["ops"]));
    settle(&mut db, "ops", after(10), &AttemptResult::Dead { reason: "expired" });
    assert_eq!(prune(&mut db, after(39), 1000).0, 0);
    assert_eq!(db.outbox_summary().unwrap()[0].dead, 2);
    assert!(prune(&mut db, after(41), 1000).0 > 0);
    assert_eq!(db.outbox_summary().unwrap()[0].dead, 0);
}

#[test]
fn a_conference_that_is_not_closed_stays_whole_however_old_it_is() {
    let mut db = Db::in_memory(noon()).unwrap();
    commit_well(&mut db, joins("live", 1..=3, &[]));
    commit_well(&mut db, ended("ended", Phase::Ended, 3, &[]));
    assert_eq!(prune(&mut db, after(3000), 1000).0, 0);
    assert_eq!(db.load_unfinished().unwrap().len(), 2);
    assert_eq!(db.log_after(0, 10).unwrap().len(), 6);
}

#[test]
fn a_conference_that_ended_long_ago_and_was_told_just_now_stays_for_the_retention() {
    let mut db = Db::in_memory(noon()).unwrap();
    let mut commit = closed("late", 1, &[]);
    commit.events[0].observed_at = after(100);
    commit_well(&mut db, commit);
    assert_eq!(prune(&mut db, after(129), 1000).0, 0);
    assert!(prune(&mut db, after(131), 1000).0 > 0);
}

#[test]
fn events_of_no_conference_go_one_by_one() {
    let mut db = Db::in_memory(noon()).unwrap();
    let gaps = (0..5).map(|day| {
        let mut gap = lone_gap(day, if day == 1 { &["ops"] } else { &[] });
        gap.observed_at = after(day * 10);
        gap
    });
    commit_well(&mut db, Commit { events: gaps.collect(), ..Commit::default() });
    // Days 0 and 10 are old, but somebody is owed the second.
    assert_eq!(prune(&mut db, after(45), 2).0, 1);
    settle(&mut db, "ops", after(45), &AttemptResult::Done);
    assert_eq!(prune(&mut db, after(46), 2).0, 0, "it arrived less than the retention ago");
    assert_eq!(prune(&mut db, after(76), 2).0, 4 + 1, "and its delivery");
    assert!(db.log_after(0, 10).unwrap().is_empty());
}

#[test]
fn a_tombstone_goes_when_google_must_have_forgotten() {
    let mut db = Db::in_memory(noon()).unwrap();
    commit_well(&mut db, closed("c", 1, &[]));
    prune(&mut db, after(31), 1000);
    assert_eq!(prune(&mut db, after(61), 1000).0, 0);
    assert!(db.is_finished(&conference("c")).unwrap(), "Google may show it for 30 days after its end");
    assert_eq!(prune(&mut db, after(63), 1000).0, 1);
    assert!(!db.is_finished(&conference("c")).unwrap());
}

#[test]
fn a_file_out_of_which_most_was_deleted_becomes_smaller() {
    let (_folder, path) = folder();
    let mut db = Db::open(&path, noon()).unwrap();
    let size = |db: &Db| {
        db.checkpoint().unwrap();
        std::fs::metadata(&path).unwrap().len()
    };
    for number in 0..40 {
        commit_well(&mut db, closed(&format!("c{number}"), 300, &[]));
    }
    let full = size(&db);
    prune(&mut db, after(31), 500);
    let left = size(&db);
    assert!(full > 5_000_000 && left < 4_200_000, "{full} bytes became {left}");
    let verdict: String =
        Connection::open(&path).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

#[test]
fn pruning_waits_while_the_clock_is_in_doubt_also_after_a_restart() {
    let (_folder, path) = folder();
    let moment = |hours: u64, wall: Timestamp| Now { mono: Duration::from_secs(hours * 3600), wall };
    let mut db = Db::open(&path, noon()).unwrap();
    commit_well(&mut db, closed("c", 1, &[]));
    let first = moment(0, at(3600));
    assert_eq!(db.weigh_clock(None, first).unwrap(), None);
    // An hour later the clock says that ten years have passed.
    let wrong = moment(1, after(3650));
    assert!(matches!(db.weigh_clock(Some(first), wrong).unwrap(), Some(ClockDoubt::Leapt { .. })));
    drop(db);
    let mut db = Db::open(&path, after(3650)).unwrap();
    assert!(matches!(db.weigh_clock(None, moment(0, after(3650))).unwrap(), Some(ClockDoubt::Leapt { .. })));
    // And is set right.
    assert!(matches!(db.weigh_clock(None, moment(0, at(7200))).unwrap(), Some(ClockDoubt::Leapt { .. })));
    assert_eq!(db.weigh_clock(None, moment(0, at(7200 + DAY))).unwrap(), None);
    // And goes back by more than two clocks may differ.
    assert_eq!(db.weigh_clock(None, moment(0, at(-3600))).unwrap(), Some(ClockDoubt::Behind));
}

#[tokio::test]
async fn the_writer_takes_other_work_between_the_steps() {
    let (_folder, path) = folder();
    let clock = Clock::new();
    let now = clock.now();
    let mut db = Db::open(&path, noon()).unwrap();
    let long_ago = now.wall - SignedDuration::from_hours(24 * 40);
    for number in 0..20 {
        let mut commit = closed(&format!("c{number}"), 100, &[]);
        commit.conference.as_mut().unwrap().end = Some((long_ago, Source::Google));
        for event in &mut commit.events {
            event.observed_at = long_ago;
        }
        commit_well(&mut db, commit);
    }
    drop(db);
    let store = Store::open(&path, clock, StoreMetrics::register(&Registry::new()).unwrap()).unwrap();
    let retention = Duration::from_secs(30 * 86_400);
    let pruning = retention_loop::pass(&store, now, retention);
    let other = async {
        let mut between = 0;
        // Each of these is answered while the pass is under way.
        for sequence in 1..=10 {
            store.commit(joins("live", sequence..=sequence, &[]), now.wall).await.unwrap();
            between = store.log_after(0, 10_000).await.unwrap().len();
        }
        between
    };
    tokio::pin!(pruning);
    let between = tokio::select! {
        between = other => between,
        done = &mut pruning => panic!("the pass was over first: {done:?}"),
    };
    assert!(between > 10, "nothing was left to prune after ten commits");
    assert_eq!(pruning.await.unwrap(), 20 * 301);
    assert_eq!(store.log_after(0, 10_000).await.unwrap().len(), 10);
    store.close(Duration::from_secs(10)).await.unwrap();
}
