//! A whole daemon at log level `trace`: neither its log nor its metrics contain a person or a secret.

use meetwatch::sim::receiver::Behaviour;
use tokio_util::sync::CancellationToken;

use crate::kill_daemon::{PATIENCE, Scene, becomes_true, live};

/// Names of people in that world, and parts of secrets. Short names are left out, because they occur in identifiers by
/// chance.
const NEVER: [&str; 12] = [
    "Edsger",
    "Barbara",
    "Grace",
    "Radia",
    "Renamed",
    "+41 44",
    "@example.com",
    "users/",
    "/participants/",
    "any-token",
    "whsec_",
    "Bearer ",
];

fn revealing_lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| NEVER.iter().any(|word| line.contains(word))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_at_log_level_trace_reveals_no_person_and_no_secret() {
    let scene = Scene::set(11).await;
    let mut daemon = scene.start(&["--log", "trace"]);
    let line: serde_json::Value = serde_json::from_str(&daemon.says("watching").await).unwrap();
    becomes_true("the daemon remembers since when it watches", || scene.count("targets") == 1).await;
    let stop = CancellationToken::new();
    let world = tokio::spawn(live(scene.simulator.clone(), 11, stop.clone()));
    assert!(scene.receiver.wait_for(20, PATIENCE).await, "nothing arrives");
    // Failures are logged too.
    scene.settling.behave(Behaviour::Answer(500, Vec::new()));
    scene.batches.behave(Behaviour::Answer(400, Vec::new()));
    becomes_true("deliveries fail", || scene.count("attempts WHERE status >= 400") > 0).await;
    daemon.hang_up();
    daemon.says("the configuration was reloaded").await;
    let address = line["address"].as_str().unwrap();
    let metrics = reqwest::get(format!("http://{address}/metrics")).await.unwrap().text().await.unwrap();
    stop.cancel();
    world.await.unwrap();
    daemon.stop().await;

    let log = daemon.log();
    assert!(log.contains(r#""level":"DEBUG""#) || log.contains(r#""level":"TRACE""#), "it logs everything");
    assert_eq!(revealing_lines(&log), Vec::<&str>::new());
    assert!(metrics.contains("meetwatch_events_total"));
    assert_eq!(revealing_lines(&metrics), Vec::<&str>::new());
}
