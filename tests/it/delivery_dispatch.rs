//! The dispatcher over real sockets: order, retries, and independence of endpoints.

use std::path::{Path, PathBuf};
use std::time::Duration;

use meetwatch::backoff::Random;
use meetwatch::clock::Clock;
use meetwatch::delivery::dispatch::DispatcherOptions;
use meetwatch::delivery::{Dispatcher, EndpointSettings, Policy, WebhookMetrics};
use meetwatch::store::{
    Commit, DeliveryFilter, DeliveryId, DeliveryRow, DeliveryState, Replay, ResumeFrom, Store, StoreMetrics,
};
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use crate::store_samples::{commit, endpoint, event, joins, retraction};
use crate::webhook_receiver::{Answer, Receiver};

/// A store and a dispatcher that runs on it.
pub(crate) struct Harness {
    pub(crate) store: Store,
    clock: Clock,
    registry: Registry,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

fn quick(settings: &EndpointSettings) -> Policy {
    let step = Duration::from_millis(5);
    Policy { schedule: vec![step; 1000], after_rejection: [step; 2], ..Policy::new(settings.window) }
}

impl Harness {
    fn open(path: &Path, endpoints: &[EndpointSettings]) -> Self {
        Self::open_with(path, endpoints, &DispatcherOptions { grace: Duration::from_secs(10), policy: quick })
    }

    pub(crate) fn open_with(path: &Path, endpoints: &[EndpointSettings], options: &DispatcherOptions) -> Self {
        let (clock, registry) = (Clock::new(), Registry::new());
        let store = Store::open(path, clock, StoreMetrics::register(&registry).unwrap()).unwrap();
        let names: Vec<_> = endpoints.iter().map(|endpoint| endpoint.name.clone()).collect();
        let metrics = WebhookMetrics::register(&registry, &names).unwrap();
        registry.register(Box::new(store.outbox_collector(names).unwrap())).unwrap();
        let random = Random::with_seed(7);
        let dispatcher = Dispatcher::new(endpoints, store.clone(), clock, metrics, random, options).unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(dispatcher.run(stop.clone()));
        Self { store, clock, registry, stop, running }
    }

    pub(crate) async fn commit(&self, commit: Commit) {
        self.store.commit(commit, self.clock.now().wall).await.unwrap();
    }

    /// Stops the dispatcher as the daemon does.
    pub(crate) async fn close(self) {
        self.stop.cancel();
        self.running.await.unwrap();
        self.store.close(Duration::from_secs(10)).await.unwrap();
    }

    fn metrics(&self) -> String {
        prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap()
    }

    async fn states(&self, name: &str) -> Vec<DeliveryState> {
        deliveries(&self.store, name).await.into_iter().map(|row| row.state).collect()
    }
}

/// Returns an endpoint's deliveries, the oldest first.
pub(crate) async fn deliveries(store: &Store, name: &str) -> Vec<DeliveryRow> {
    let filter = DeliveryFilter { endpoint: Some(endpoint(name)), limit: 1000, ..DeliveryFilter::default() };
    let mut rows = store.list_deliveries(filter).await.unwrap().deliveries;
    rows.reverse();
    rows
}

pub(crate) fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meetwatch.db");
    (folder, path)
}

#[tokio::test]
async fn events_arrive_once_in_order_and_name_the_previous_one() {
    let (_folder, path) = folder();
    let mut receiver = Receiver::start(Answer::Status(204)).await;
    let harness = Harness::open(&path, &[receiver.endpoint("ops")]);
    harness.commit(joins("c", 1..=3, &["ops"])).await;
    assert_eq!(receiver.want(1).await.previous, None);
    assert_eq!(receiver.want(2).await.previous, Some(event("c", 1, &[]).id.to_string()));
    receiver.want(3).await;
    harness.commit(commit("c", vec![retraction("c", 4, &event("c", 2, &[]).id)])).await;
    assert_eq!(receiver.want(4).await.id, retraction("c", 4, &event("c", 2, &[]).id).id.to_string());
    harness.close().await;
    assert!(receiver.rest().is_empty());
}

#[tokio::test]
async fn a_failed_delivery_is_retried_unchanged_and_the_next_waits_for_it() {
    let (_folder, path) = folder();
    let mut receiver = Receiver::start(Answer::Refuse(2, 500)).await;
    let harness = Harness::open(&path, &[receiver.endpoint("ops")]);
    harness.commit(joins("c", 1..=3, &["ops"])).await;
    receiver.want(1).await;
    let first = receiver.want(2).await;
    for _ in 0..3 {
        assert_eq!(receiver.want(2).await.id, first.id);
    }
    // Another conference is delivered meanwhile; it has no second event, so none of it is refused.
    harness.commit(joins("d", 1..=1, &["ops"])).await;
    while receiver.next().await.sequence != 1 {}
    receiver.answer(Answer::Status(200));
    let mut last = receiver.next().await;
    while last.sequence == 2 {
        assert_eq!(last.id, first.id);
        last = receiver.next().await;
    }
    assert_eq!((last.sequence, last.answered), (3, 200));
    let metrics = harness.metrics();
    assert!(!metrics.contains(r#"failures_total{endpoint="ops",reason="server_error"} 0"#), "{metrics}");
    harness.close().await;
}

#[tokio::test]
async fn pending_deliveries_are_sent_after_a_restart() {
    let (_folder, path) = folder();
    let mut receiver = Receiver::start(Answer::Status(503)).await;
    let harness = Harness::open(&path, &[receiver.endpoint("ops")]);
    harness.commit(joins("c", 1..=2, &["ops"])).await;
    let first = receiver.want(1).await;
    receiver.want(1).await;
    harness.close().await;
    receiver.rest();

    receiver.answer(Answer::Status(200));
    let harness = Harness::open(&path, &[receiver.endpoint("ops")]);
    assert_eq!(receiver.want(1).await.id, first.id);
    receiver.want(2).await;
    harness.close().await;
}

#[tokio::test]
async fn an_endpoint_that_hangs_delays_no_other() {
    let (_folder, path) = folder();
    let mut slow = Receiver::start(Answer::Hang).await;
    let mut fast = Receiver::start(Answer::Status(200)).await;
    let options = DispatcherOptions { grace: Duration::ZERO, policy: quick };
    let harness = Harness::open_with(&path, &[slow.endpoint("slow"), fast.endpoint("fast")], &options);
    // More conferences than the slow endpoint has concurrency.
    for number in 0..20 {
        harness.commit(joins(&format!("c{number}"), 1..=2, &["slow", "fast"])).await;
    }
    for _ in 0..40 {
        fast.next().await;
    }
    for _ in 0..8 {
        slow.next().await;
    }
    for _ in 0..100 {
        // An admin request makes the dispatcher look, even if it changes no delivery.
        let nothing = Replay::One(DeliveryId(i64::MAX));
        assert_eq!(harness.store.replay(nothing, harness.clock.now().wall).await.unwrap(), 0);
    }
    assert!(slow.rest().is_empty(), "nothing is sent twice, and the concurrency is used up");
    harness.close().await;

    slow.answer(Answer::Status(200));
    let harness = Harness::open(&path, &[slow.endpoint("slow"), fast.endpoint("fast")]);
    for _ in 0..40 {
        slow.next().await;
    }
    harness.close().await;
    assert!(slow.rest().is_empty() && fast.rest().is_empty());
}

#[tokio::test]
async fn an_endpoint_that_answers_410_is_switched_off_and_keeps_its_backlog() {
    let (_folder, path) = folder();
    let mut gone = Receiver::start(Answer::Status(410)).await;
    let mut other = Receiver::start(Answer::Status(200)).await;
    let harness = Harness::open(&path, &[gone.endpoint("gone"), other.endpoint("other")]);
    harness.commit(joins("c", 1..=2, &["gone", "other"])).await;
    gone.want(1).await;
    other.want(1).await;
    other.want(2).await;
    harness.commit(joins("d", 1..=1, &["gone", "other"])).await;
    other.want(1).await;
    harness.close().await;
    assert!(gone.rest().is_empty());

    gone.answer(Answer::Status(200));
    let harness = Harness::open(&path, &[gone.endpoint("gone"), other.endpoint("other")]);
    let metrics = harness.metrics();
    assert!(metrics.contains(r#"meetwatch_webhook_endpoint_enabled{endpoint="gone"} 0"#), "{metrics}");
    assert!(metrics.contains(r#"meetwatch_webhook_pending{endpoint="gone"} 3"#), "{metrics}");
    assert!(metrics.contains(r#"oldest_pending_timestamp_seconds{endpoint="gone"}"#), "{metrics}");
    assert!(!metrics.contains(r#"oldest_pending_timestamp_seconds{endpoint="other"}"#), "{metrics}");
    harness.store.enable(endpoint("gone"), ResumeFrom::Backlog, harness.clock.now().wall).await.unwrap();
    for _ in 0..3 {
        gone.next().await;
    }
    harness.close().await;
}

#[tokio::test]
async fn a_rejected_delivery_is_given_up_and_the_next_one_is_sent() {
    let (_folder, path) = folder();
    let mut receiver = Receiver::start(Answer::Refuse(1, 404)).await;
    let harness = Harness::open(&path, &[receiver.endpoint("ops")]);
    harness.commit(joins("c", 1..=2, &["ops"])).await;
    for _ in 0..3 {
        receiver.want(1).await;
    }
    receiver.want(2).await;
    let states = loop {
        let states = harness.states("ops").await;
        if states[1] == DeliveryState::Done {
            break states;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(states, [DeliveryState::Dead, DeliveryState::Done]);
    let metrics = harness.metrics();
    assert!(metrics.contains(r#"meetwatch_webhook_dead{endpoint="ops"} 1"#), "{metrics}");
    assert!(metrics.contains(r#"meetwatch_webhook_deliveries_total{endpoint="ops"} 1"#), "{metrics}");
    harness.close().await;
}

#[tokio::test]
async fn a_stop_claims_no_more_and_aborted_deliveries_are_pending_again() {
    let (_folder, path) = folder();
    let mut receiver = Receiver::start(Answer::Hang).await;
    let options = DispatcherOptions { grace: Duration::from_millis(50), policy: quick };
    let harness = Harness::open_with(&path, &[receiver.endpoint("ops")], &options);
    harness.commit(joins("c", 1..=2, &["ops"])).await;
    receiver.want(1).await;
    let store = harness.store.clone();
    harness.stop.cancel();
    harness.running.await.unwrap();
    let rows = deliveries(&store, "ops").await;
    assert!(rows.iter().all(|row| row.state == DeliveryState::Pending && row.attempts == 0), "{rows:?}");
    store.close(Duration::from_secs(10)).await.unwrap();
}
