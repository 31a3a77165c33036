//! Pruning an SQLite file: which rows are left, that the file shrinks, and that the writer takes other operations
//! between.

use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;
use meetwatch::clock::Clock;
use meetwatch::model::Source;
use meetwatch::store::{AttemptResult, Store, StoreMetrics, retention_loop};
use prometheus::Registry;
use rusqlite::Connection;

use crate::store_contract::retention::{after, closed, finish_all, prune, request, write};
use crate::store_contract::{Backend, Durable, SqliteFile};
use crate::store_samples::*;

/// How many rows each table of the file has.
fn rows(path: &Path) -> Vec<(String, i64)> {
    let connection = Connection::open(path).unwrap();
    let tables = ["conferences", "participants", "sessions", "events", "deliveries", "attempts", "lanes", "tombstones"];
    let count = |table: &str| connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0));
    tables.iter().map(|table| ((*table).to_owned(), count(table).unwrap())).collect()
}

#[test]
fn an_old_conference_is_deleted_whole_and_leaves_a_tombstone() {
    let mut db = SqliteFile::create();
    write(&mut db, closed("old", 7, &["ops", "audit"]));
    finish_all(&mut db, "ops", at(60), &AttemptResult::Done);
    finish_all(&mut db, "audit", at(60), &AttemptResult::Dead { reason: "expired" });
    assert_eq!(db.outbox_summary().unwrap()[0].dead, 7);

    assert_eq!(prune(&mut db, after(30), 1000).0, 0, "it is not old yet");
    let (gone, _) = prune(&mut db, after(31), 1000);

    assert_eq!(gone, 7 + 7 + 7 + 14 + 1);
    assert!(rows(&db.path).iter().all(|(table, count)| (*count == 1) == (table == "tombstones") && *count <= 1));
    assert!(db.finished().unwrap().contains(&conference("old")) && db.finished().unwrap().contains(&conference("old")));
    assert_eq!(db.outbox_summary().unwrap().iter().map(|summary| summary.dead).sum::<u64>(), 0);
    assert!(db.log_after(0, 10).unwrap().is_empty());
}

#[test]
fn a_pass_that_dies_half_way_is_finished_by_the_next() {
    let mut db = SqliteFile::create();
    for dies_after in 0..12 {
        db = db.reopen(noon());
        let id = format!("c{dies_after}");
        write(&mut db, closed(&id, 6, &["ops"]));
        finish_all(&mut db, "ops", at(60), &AttemptResult::Done);
        let mut request = request(after(31), 2);
        for _ in 0..dies_after {
            request.from = db.write(request, after(31)).unwrap().next.unwrap();
        }

        db = db.reopen(after(31));
        assert!(db.finished().unwrap().contains(&conference(&id)), "its events could be emitted again");
        assert!(db.load_unfinished().unwrap().is_empty());
        prune(&mut db, after(31), 1000);
        assert!(db.finished().unwrap().contains(&conference(&id)), "its events could be emitted again");
    }
    let left: Vec<_> = rows(&db.path).into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(left, [("tombstones".to_owned(), 12)]);
}

#[test]
fn a_file_most_of_which_was_deleted_shrinks() {
    let mut db = SqliteFile::create();
    let size = |db: &SqliteFile| {
        db.db.checkpoint().unwrap();
        std::fs::metadata(&db.path).unwrap().len()
    };
    for number in 0..40 {
        write(&mut db, closed(&format!("c{number}"), 300, &[]));
    }
    let full = size(&db);
    prune(&mut db, after(31), 500);
    let left = size(&db);
    assert!(full > 5_000_000 && left < 4_200_000, "{full} bytes became {left}");
    let verdict: String =
        Connection::open(&db.path).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

#[tokio::test]
async fn the_writer_takes_other_operations_between_the_steps() {
    let clock = Clock::new();
    let now = clock.now();
    let mut db = SqliteFile::create();
    let long_ago = now.wall - SignedDuration::from_hours(24 * 40);
    for number in 0..20 {
        let mut commit = closed(&format!("c{number}"), 100, &[]);
        commit.conference.as_mut().unwrap().end = Some((long_ago, Source::Google));
        for event in &mut commit.events {
            event.observed_at = long_ago;
        }
        write(&mut db, commit);
    }
    let (path, _folder) = db.close();
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
