//! The shipped Grafana dashboards: every query has data in a real Prometheus that scrapes a running daemon.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::deploy_files::metrics_in;
use crate::deploy_prometheus::{Prometheus, address_of, shipped};
use crate::kill_daemon::{PATIENCE, Scene, live};
use crate::serve_metrics::said_by_promtool;

const METRICS: &str = include_str!("../../docs/METRICS.md");
const NAMES: [&str; 2] = ["operations", "meetings"];

fn dashboard(name: &str) -> Value {
    serde_json::from_str(&shipped(&format!("grafana/dashboards/{name}.json"))).unwrap()
}

/// A query of a panel.
struct Query {
    panel: String,
    expression: String,
    instant: bool,
}

fn queries(dashboard: &Value) -> Vec<Query> {
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = format!("{} / {}", dashboard["title"], panel["title"]);
        let targets: Vec<&Value> = panel["targets"].as_array().into_iter().flatten().collect();
        assert_eq!(targets.is_empty(), panel["type"] == "row", "{title} has no query");
        queries.extend(targets.into_iter().map(|target| Query {
            panel: title.clone(),
            expression: target["expr"].as_str().unwrap().to_owned(),
            instant: target["instant"] == true,
        }));
    }
    queries
}

/// Returns an expression as Grafana sends it with every variable set to all, and a step of one second.
fn filled_in(expression: &str) -> String {
    let filled =
        [("$__rate_interval", "20s"), ("$__range", "1m"), ("$job", ".+"), ("$instance", ".+"), ("$target", ".+")]
            .iter()
            .fold(expression.to_owned(), |text, (name, value)| text.replace(name, value));
    assert!(!filled.contains('$'), "unknown variable in: {filled}");
    filled
}

/// Returns whether an answer contains a number.
fn has_data(data: &Value) -> bool {
    let number = |sample: &Value| sample[1].as_str().is_some_and(|value| value != "NaN");
    data["result"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|series| number(&series["value"]) || series["values"].as_array().into_iter().flatten().any(number))
}

async fn answered(prometheus: &Prometheus, query: &Query) -> bool {
    let expression = filled_in(&query.expression);
    if query.instant {
        return has_data(&prometheus.ask("query", &[("query", &expression)]).await);
    }
    // The clock of Prometheus; a scalar is [time, value].
    let now = prometheus.ask("query", &[("query", "time()")]).await;
    let end: f64 = now["result"][1].as_str().unwrap().parse().unwrap();
    let (start, end) = ((end - 30.0).to_string(), end.to_string());
    let range = [("query", expression.as_str()), ("start", &start), ("end", &end), ("step", "1")];
    has_data(&prometheus.ask("query_range", &range).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs prometheus"]
async fn every_panel_has_data() {
    let scene = Scene::set(23).await;
    let mut daemon = scene.start(&[]);
    let address = address_of(&mut daemon).await;
    let rules = shipped("prometheus/meetwatch.rules.yml");
    let prometheus = Prometheus::start(scene.folder.path(), &address, "127.0.0.1:9", &rules).await;
    let stop = CancellationToken::new();
    let world = tokio::spawn(live(scene.simulator.clone(), 23, stop.clone()));

    let mut waiting: Vec<Query> = NAMES.iter().flat_map(|name| queries(&dashboard(name))).collect();
    assert!(waiting.len() > 50, "{}", waiting.len());
    let asking = async {
        while let Some(query) = waiting.last() {
            if answered(&prometheus, query).await {
                waiting.pop();
            } else {
                // The next scrape may have the data.
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        }
    };
    let all = tokio::time::timeout(3 * PATIENCE, asking).await;
    let empty = waiting.last().map(|query| format!("{}: {}", query.panel, filled_in(&query.expression)));
    assert!(all.is_ok(), "no data in {}", empty.unwrap_or_default());
    stop.cancel();
    world.await.unwrap();

    // All metrics are present while the daemon works.
    let metrics = reqwest::get(format!("http://{address}/metrics")).await.unwrap().text().await.unwrap();
    let said = said_by_promtool(metrics).await;
    assert!(said.is_empty(), "{said}");
    let mut health = Command::new(env!("CARGO_BIN_EXE_meetwatch"));
    let health = health.args(["health", "--url", &format!("http://{address}")]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&health.stdout), "ready\n", "{health:?}");
    daemon.stop().await;
}

#[test]
fn a_dashboard_queries_only_documented_metrics_and_names_its_panels() {
    for name in NAMES {
        let dashboard = dashboard(name);
        let mut metrics: Vec<String> =
            queries(&dashboard).iter().flat_map(|query| metrics_in(&query.expression)).collect();
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            metrics.extend(metrics_in(&variable["query"].to_string()));
        }
        for metric in metrics {
            assert!(METRICS.contains(&format!("`{metric}`")), "{name}: {metric} is not in docs/METRICS.md");
        }
        for panel in dashboard["panels"].as_array().unwrap() {
            let said = |field: &str| panel[field].as_str().is_some_and(|text| !text.is_empty());
            assert!(said("title") && (said("description") || panel["type"] == "row"), "{name}: {panel}");
        }
    }
}

#[test]
fn an_answer_without_a_number_has_no_data() {
    let answer = |text: &str| has_data(&serde_json::from_str(text).unwrap());
    assert!(!answer(r#"{"result": []}"#));
    assert!(!answer(r#"{"result": [{"metric": {}, "values": [[1, "NaN"], [2, "NaN"]]}]}"#));
    assert!(answer(r#"{"result": [{"metric": {}, "values": [[1, "NaN"], [2, "0"]]}]}"#));
    assert!(answer(r#"{"result": [{"metric": {}, "value": [1, "3"]}]}"#));
}

#[test]
#[ignore = "needs Python"]
fn the_dashboards_are_generated_from_their_source() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("dashboards")).unwrap();
    let source = folder.path().join("dashboards.py");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/grafana/dashboards.py"), &source).unwrap();
    assert!(Command::new("python3").arg(&source).status().unwrap().success());
    for name in NAMES {
        let made = std::fs::read_to_string(folder.path().join(format!("dashboards/{name}.json"))).unwrap();
        let same = made == shipped(&format!("grafana/dashboards/{name}.json"));
        assert!(same, "{name} differs from its source: run python3 deploy/grafana/dashboards.py");
    }
}
