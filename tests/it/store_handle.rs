//! The handle on the store: many callers, the closing of the store, changes that take many pages, and the published
//! progress.

use std::time::Duration;

use meetwatch::clock::Clock;
use meetwatch::model::EventType;
use meetwatch::store::{
    Commit, Db, EndpointConfig, EventFilter, Replay, ResumeFrom, Store, StoreError, StoreMetrics, StoreProgress,
    WriteError,
};
use prometheus::Registry;

use crate::store_samples::*;

#[tokio::test]
async fn commits_of_many_tasks_are_all_written_and_a_failing_one_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new();
    let metrics = StoreMetrics::register(&registry).unwrap();
    let clock = Clock::new();
    let store = Store::open(&folder.path().join("meetwatch.db"), clock, metrics).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let store = store.clone();
        tasks.spawn(async move {
            // Each conference is committed twice; one of the two has to fail.
            store.commit(joins(&format!("c{}", number % 100), 1..=2, &["ops"]), noon()).await
        });
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 100);
    assert_eq!(store.log_after(0, 1000).await.unwrap().len(), 200);
    assert_eq!(store.load_unfinished().await.unwrap().len(), 100);

    store.close(Duration::from_secs(10)).await.unwrap();
    let late = store.commit(joins("late", 1..=1, &[]), noon()).await;
    assert_eq!(late, Err(WriteError::Store(StoreError::Closed)));
    assert_eq!(store.targets().await, Err(StoreError::Closed));

    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert!(text.contains(r#"meetwatch_store_commit_failures_total{reason="invariant"} 100"#), "{text}");
    assert!(text.contains("meetwatch_store_commit_duration_seconds_count"), "{text}");
}

#[tokio::test]
async fn dropping_every_handle_writes_what_was_queued_and_unlocks_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meetwatch.db");
    let metrics = StoreMetrics::register(&Registry::new()).unwrap();
    let store = Store::open(&path, Clock::new(), metrics).unwrap();
    store.commit(joins("c", 1..=1, &[]), noon()).await.unwrap();
    drop(store);
    // The writer's thread releases the lock last, and opening does not wait for it: try again until it succeeds.
    let db = tokio::task::spawn_blocking(move || {
        std::iter::repeat_with(|| Db::open(&path, noon())).find_map(Result::ok).unwrap()
    });
    assert_eq!(db.await.unwrap().log_after(0, 10).unwrap().len(), 1);
}

fn configured(name: &str) -> EndpointConfig {
    EndpointConfig { name: endpoint(name), ordered: true, settle: Duration::ZERO, max_age: None, batching: None }
}

#[tokio::test]
async fn replaying_skipping_and_deleting_go_through_all_pages() {
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

    store.configure(vec![configured("ops")], at(3)).await.unwrap();
    assert_eq!(store.remove_orphan(endpoint("ops"), at(3)).await.unwrap(), 0, "it is configured");
    store.configure(Vec::new(), at(3)).await.unwrap();
    assert!(store.outbox_summary().await.unwrap()[0].orphaned);
    assert_eq!(store.remove_orphan(endpoint("ops"), at(3)).await.unwrap(), 3000);
    assert!(store.outbox_summary().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_endpoint_that_was_never_configured_is_removed_with_its_deliveries() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = StoreMetrics::register(&Registry::new()).unwrap();
    let store = Store::open(&folder.path().join("meetwatch.db"), Clock::new(), metrics).unwrap();
    store.configure(vec![configured("ops")], noon()).await.unwrap();
    // Of a commit that was prepared before a reload removed the endpoint.
    store.commit(joins("c", 1..=3, &["ops", "old"]), noon()).await.unwrap();
    let summaries = store.outbox_summary().await.unwrap();
    let shown: Vec<_> = summaries.iter().map(|row| (row.endpoint.as_str(), row.orphaned, row.pending)).collect();
    assert_eq!(shown, [("old", true, 3), ("ops", false, 3)]);
    assert_eq!(store.remove_orphan(endpoint("old"), at(1)).await.unwrap(), 3);
    assert_eq!(store.outbox_summary().await.unwrap().len(), 1);
}

fn open(folder: &tempfile::TempDir) -> Store {
    let metrics = StoreMetrics::register(&Registry::new()).unwrap();
    Store::open(&folder.path().join("meetwatch.db"), Clock::new(), metrics).unwrap()
}

/// Reads the log as a follower does, until it has seen so many events. Returns their positions.
async fn follow(store: Store, events: usize) -> Vec<u64> {
    let mut progress = store.progress();
    let mut seen: Vec<u64> = Vec::new();
    while seen.len() < events {
        let last = seen.last().copied().unwrap_or(0);
        let rows = store.log_after(last, 3).await.unwrap();
        if rows.is_empty() {
            // What was committed between the read and this line is seen at once.
            let passed = progress.wait_for(|progress| progress.log_position > last);
            tokio::time::timeout(Duration::from_secs(10), passed).await.expect("a commit was missed").unwrap();
        }
        seen.extend(rows.iter().map(|row| row.position));
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_followers_see_every_commit() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let followers = [tokio::spawn(follow(store.clone(), 60)), tokio::spawn(follow(store.clone(), 60))];
    for sequence in 1..=60 {
        store.commit(joins("c", sequence..=sequence, &[]), noon()).await.unwrap();
    }
    let log: Vec<_> = store.log_after(0, 100).await.unwrap().iter().map(|row| row.position).collect();
    for follower in followers {
        assert_eq!(follower.await.unwrap(), log);
    }
}

#[tokio::test]
async fn progress_is_published_before_the_reply_and_begins_with_the_end_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let progress = store.progress();
    assert_eq!(*progress.borrow(), StoreProgress::default());
    store.commit(joins("c", 1..=3, &["ops"]), noon()).await.unwrap();
    let log_position = store.log_after(2, 9).await.unwrap()[0].position;
    assert_eq!(*progress.borrow(), StoreProgress { log_position, admin_changes: 0 });
    assert!(store.commit(joins("c", 1..=1, &[]), noon()).await.is_err());
    assert_eq!(
        *progress.borrow(),
        StoreProgress { log_position, admin_changes: 0 },
        "a refused commit changes nothing"
    );
    store.disable(endpoint("ops"), at(1)).await.unwrap();
    store.enable(endpoint("ops"), ResumeFrom::Backlog, at(2)).await.unwrap();
    assert_eq!(*progress.borrow(), StoreProgress { log_position, admin_changes: 2 });
    store.close(Duration::from_secs(10)).await.unwrap();
    assert!(progress.has_changed().is_err(), "the writer has ended");

    let store = open(&folder);
    assert_eq!(*store.progress().borrow(), StoreProgress { log_position, admin_changes: 0 });
}

#[tokio::test]
async fn the_newest_events_are_found_however_many_others_followed() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = StoreMetrics::register(&Registry::new()).unwrap();
    let store = Store::open(&folder.path().join("meetwatch.db"), Clock::new(), metrics).unwrap();
    store.commit(Commit { events: vec![lone_gap(1, &[])], ..Commit::default() }, noon()).await.unwrap();
    store.commit(joins("c", 1..=20_050, &[]), noon()).await.unwrap();
    let gaps = EventFilter { types: vec![EventType::WatchGap], limit: 5, newest: true, ..EventFilter::default() };
    let page = store.log(gaps.clone()).await.unwrap();
    assert_eq!((page.rows.len(), page.next, page.before), (1, 20_051, None));
    // One page of the others looks through a part of the log.
    let first = store.log(EventFilter { newest: false, after: 1, ..gaps.clone() }).await.unwrap();
    assert_eq!((first.rows.len(), first.next), (0, 20_001));
    let second = store.log(EventFilter { newest: false, after: first.next, ..gaps }).await.unwrap();
    assert_eq!((second.rows.len(), second.next), (0, 20_051));
}
