//! Real Prometheus and Alertmanager as child processes, with the shipped configuration and shorter intervals.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::kill_daemon::{Daemon, PATIENCE};

/// Returns a file under `deploy/`.
pub(crate) fn shipped(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns a shipped text with these replacements; each must apply.
pub(crate) fn changed(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "'{from}' is not in the shipped text, so the test no longer tests it");
        text.replace(from, to)
    })
}

/// Waits until the daemon logs its address, and returns it.
pub(crate) async fn address_of(daemon: &mut Daemon) -> String {
    let line = daemon.says("watching; metrics are at").await;
    let line: Value = serde_json::from_str(&line).unwrap();
    let address = line.pointer("/address").or_else(|| line.pointer("/fields/address")).and_then(Value::as_str);
    address.unwrap_or_else(|| panic!("no address in {line}")).to_owned()
}

/// Waits until one of these programs listens on a free port, and returns its address.
async fn listening(process: &mut Daemon) -> String {
    let line = process.says("msg=\"Listening on\"").await;
    line.rsplit_once("address=").unwrap().1.trim().to_owned()
}

/// A running Alertmanager.
pub(crate) struct Alertmanager {
    _process: Daemon,
    pub(crate) address: String,
}

impl Alertmanager {
    /// Starts one with the shipped configuration, this receiver and shorter intervals.
    pub(crate) async fn start(folder: &Path, receiver: &str) -> Self {
        let quicker = [
            ("http://localhost:9095/alerts", receiver),
            ("group_wait: 30s", "group_wait: 100ms"),
            ("group_interval: 5m", "group_interval: 1s"),
        ];
        let config = folder.join("alertmanager.yml");
        std::fs::write(&config, changed(&shipped("prometheus/alertmanager.yml"), &quicker)).unwrap();
        let mut command = Command::new("prometheus-alertmanager");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.path={}", folder.join("alertmanager").display()));
        command.args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="]);
        let mut process = Daemon::spawn(command, folder);
        let address = listening(&mut process).await;
        Self { _process: process, address }
    }
}

/// A running Prometheus.
pub(crate) struct Prometheus {
    _process: Daemon,
    address: String,
    client: reqwest::Client,
}

impl Prometheus {
    /// Starts one with the shipped configuration that scrapes this daemon every second, with these rules.
    pub(crate) async fn start(folder: &Path, daemon: &str, alertmanager: &str, rules: &str) -> Self {
        let quicker = [
            ("scrape_interval: 15s", "scrape_interval: 1s"),
            ("evaluation_interval: 30s", "evaluation_interval: 1s"),
            ("localhost:9840", daemon),
            ("localhost:9093", alertmanager),
        ];
        let config = folder.join("prometheus.yml");
        std::fs::write(&config, changed(&shipped("prometheus/prometheus.yml"), &quicker)).unwrap();
        std::fs::write(folder.join("meetwatch.rules.yml"), rules).unwrap();
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()));
        command.arg("--web.listen-address=127.0.0.1:0");
        let mut process = Daemon::spawn(command, folder);
        let address = listening(&mut process).await;
        // Until then it answers 503.
        process.says("Server is ready to receive web requests").await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { _process: process, address, client }
    }

    /// Returns the answer of a path of its API.
    pub(crate) async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let request = self.client.get(url).query(parameters).timeout(PATIENCE);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["status"], "success", "{path} {parameters:?}: {answer}");
        answer["data"].clone()
    }

    /// Returns the series of an expression.
    pub(crate) async fn query(&self, expression: &str) -> Vec<Value> {
        let data = self.ask("query", &[("query", expression)]).await;
        data["result"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until an expression has a series.
    pub(crate) async fn until(&self, expression: &str) {
        let waiting = async {
            while self.query(expression).await.is_empty() {
                // Prometheus has no notification of a scrape.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let came = tokio::time::timeout(2 * PATIENCE, waiting).await.is_ok();
        assert!(came, "timed out: {expression}; targets: {}", self.ask("targets", &[]).await);
    }

    /// Returns all rules, once each was evaluated.
    pub(crate) async fn rules(&self) -> Vec<Value> {
        let waiting = async {
            loop {
                let data = self.ask("rules", &[]).await;
                let groups = data["groups"].as_array().unwrap();
                let rules: Vec<Value> =
                    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect();
                if !rules.is_empty() && rules.iter().all(|rule| rule["health"] != "unknown") {
                    return rules;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(2 * PATIENCE, waiting).await.expect("some rules were not evaluated")
    }
}
