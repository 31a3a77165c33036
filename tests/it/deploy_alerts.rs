//! From trouble to the page that tells of it, and to the one that says it is over: the daemon, Prometheus with the shipped
//! rules, Alertmanager with the shipped configuration, and whoever is on call.

use axum::routing::post;
use axum::{Json, Router};
use meetwatch::sim::Behaviour;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::deploy_prometheus::{Alertmanager, Prometheus, address_of, changed, shipped};
use crate::kill_daemon::{PATIENCE, Scene, live};

/// The alerts of this name and state among the pages that came.
fn pages<'a>(bodies: &'a [Value], status: &'a str, name: &'a str) -> impl Iterator<Item = &'a Value> {
    let alerts = bodies.iter().flat_map(|body| body["alerts"].as_array().into_iter().flatten());
    alerts.filter(move |alert| alert["status"] == status && alert["labels"]["alertname"] == name)
}

/// Whoever is on call, and what they were told so far.
struct OnCall {
    url: String,
    told: watch::Receiver<Vec<Value>>,
}

impl OnCall {
    async fn start() -> Self {
        let (tell, told) = watch::channel(Vec::new());
        let take = async move |Json(body): Json<Value>| tell.send_modify(|told| told.push(body));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/alerts", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/alerts", post(take))).await });
        Self { url, told }
    }

    fn bodies(&self) -> Vec<Value> {
        self.told.borrow().clone()
    }

    /// Waits for a page, and returns its alert.
    async fn is_told(&mut self, status: &str, name: &str) -> Value {
        let came = self.told.wait_for(|bodies| pages(bodies, status, name).next().is_some());
        let came = tokio::time::timeout(4 * PATIENCE, came).await.is_ok();
        assert!(came, "nobody was told that {name} is {status}: {:#?}", self.bodies());
        pages(&self.bodies(), status, name).next().unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs prometheus and alertmanager"]
async fn trouble_reaches_whoever_is_on_call_and_so_does_its_end() {
    let scene = Scene::set(17).await;
    let mut daemon = scene.start(&[]);
    let address = address_of(&mut daemon).await;
    let mut on_call = OnCall::start().await;
    let alertmanager = Alertmanager::start(scene.folder.path(), &on_call.url).await;
    // The patience of two rules is shortened; the others have to be silent.
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
    assert_eq!(on_call.bodies(), Vec::<Value>::new(), "all is well");

    scene.receiver.behave(Behaviour::Answer(401, Vec::new()));
    prometheus.until("meetwatch_webhook_endpoint_in_trouble == 1").await;
    let told = on_call.is_told("firing", "MeetwatchEndpointInTrouble").await;
    assert_eq!(told["labels"]["endpoint"], "ops", "{told}");
    assert_eq!(told["labels"]["severity"], "warning", "{told}");
    assert_eq!(told["annotations"]["summary"], "The endpoint ops is in trouble.", "{told}");
    assert_eq!(told["annotations"]["runbook_url"], "docs/OPERATIONS.md#meetwatchendpointintrouble", "{told}");

    scene.receiver.behave(Behaviour::Accept);
    on_call.is_told("resolved", "MeetwatchEndpointInTrouble").await;

    daemon.kill().await;
    let told = on_call.is_told("firing", "MeetwatchDown").await;
    assert_eq!(told["labels"]["instance"], address, "{told}");
    assert_eq!(told["labels"]["severity"], "critical", "{told}");
    stop.cancel();
    world.await.unwrap();
    for body in on_call.bodies() {
        let names =
            body["alerts"].as_array().unwrap().iter().map(|alert| alert["labels"]["alertname"].as_str().unwrap());
        let strange: Vec<&str> =
            names.filter(|name| !["MeetwatchEndpointInTrouble", "MeetwatchDown"].contains(name)).collect();
        assert!(strange.is_empty(), "{strange:?}: {body}");
    }
}
