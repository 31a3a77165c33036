//! From a failure to the alert and its resolution: the daemon, Prometheus with the shipped rules, Alertmanager with the
//! shipped configuration, and a receiver of the notifications.

use axum::routing::post;
use axum::{Json, Router};
use meetwatch::sim::Behaviour;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::deploy_prometheus::{Alertmanager, Prometheus, address_of, changed, shipped};
use crate::kill_daemon::{PATIENCE, Scene, live};

/// Returns the alerts with this name and state in the notifications.
fn alerts<'a>(bodies: &'a [Value], status: &'a str, name: &'a str) -> impl Iterator<Item = &'a Value> {
    let all = bodies.iter().flat_map(|body| body["alerts"].as_array().into_iter().flatten());
    all.filter(move |alert| alert["status"] == status && alert["labels"]["alertname"] == name)
}

/// The receiver of Alertmanager's notifications.
struct OnCall {
    url: String,
    notifications: watch::Receiver<Vec<Value>>,
}

impl OnCall {
    async fn start() -> Self {
        let (sender, notifications) = watch::channel(Vec::new());
        let take = async move |Json(body): Json<Value>| sender.send_modify(|all| all.push(body));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/alerts", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/alerts", post(take))).await });
        Self { url, notifications }
    }

    fn bodies(&self) -> Vec<Value> {
        self.notifications.borrow().clone()
    }

    /// Waits for a notification, and returns its alert.
    async fn notified(&mut self, status: &str, name: &str) -> Value {
        let came = self.notifications.wait_for(|bodies| alerts(bodies, status, name).next().is_some());
        let came = tokio::time::timeout(4 * PATIENCE, came).await.is_ok();
        assert!(came, "no notification that {name} is {status}: {:#?}", self.bodies());
        alerts(&self.bodies(), status, name).next().unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs prometheus and alertmanager"]
async fn an_alert_and_its_resolution_are_notified() {
    let scene = Scene::set(17).await;
    let mut daemon = scene.start(&[]);
    let address = address_of(&mut daemon).await;
    let mut on_call = OnCall::start().await;
    let alertmanager = Alertmanager::start(scene.folder.path(), &on_call.url).await;
    // `for` of two rules is shortened; no other rule may fire.
    let rules = changed(
        &shipped("prometheus/meetwatch.rules.yml"),
        &[
            (
                "meetwatch_webhook_endpoint_enabled == 1\n        for: 10m",
                "meetwatch_webhook_endpoint_enabled == 1\n        for: 1s",
            ),
            ("up{job=\"meetwatch\"} == 0\n        for: 2m", "up{job=\"meetwatch\"} == 0\n        for: 5s"),
        ],
    );
    let prometheus = Prometheus::start(scene.folder.path(), &address, &alertmanager.address, &rules).await;
    prometheus.until("up{job=\"meetwatch\"} == 1").await;
    for rule in prometheus.rules().await {
        assert_eq!(rule["health"], "ok", "{rule}");
    }

    let stop = CancellationToken::new();
    let world = tokio::spawn(live(scene.simulator.clone(), 17, stop.clone()));
    prometheus.until("meetwatch_webhook_deliveries_total > 0").await;
    assert_eq!(on_call.bodies(), Vec::<Value>::new(), "an alert fired without a failure");

    scene.receiver.behave(Behaviour::Answer(401, Vec::new()));
    prometheus.until("meetwatch_webhook_endpoint_in_trouble == 1").await;
    let alert = on_call.notified("firing", "MeetwatchEndpointInTrouble").await;
    assert_eq!(alert["labels"]["endpoint"], "ops", "{alert}");
    assert_eq!(alert["labels"]["severity"], "warning", "{alert}");
    assert_eq!(alert["annotations"]["summary"], "The endpoint ops is in trouble.", "{alert}");
    assert_eq!(alert["annotations"]["runbook_url"], "docs/OPERATIONS.md#meetwatchendpointintrouble", "{alert}");

    scene.receiver.behave(Behaviour::Accept);
    on_call.notified("resolved", "MeetwatchEndpointInTrouble").await;

    daemon.kill().await;
    let alert = on_call.notified("firing", "MeetwatchDown").await;
    assert_eq!(alert["labels"]["instance"], address, "{alert}");
    assert_eq!(alert["labels"]["severity"], "critical", "{alert}");
    stop.cancel();
    world.await.unwrap();
    for body in on_call.bodies() {
        let names =
            body["alerts"].as_array().unwrap().iter().map(|alert| alert["labels"]["alertname"].as_str().unwrap());
        let unexpected: Vec<&str> =
            names.filter(|name| !["MeetwatchEndpointInTrouble", "MeetwatchDown"].contains(name)).collect();
        assert!(unexpected.is_empty(), "{unexpected:?}: {body}");
    }
}
