//! The dashboards that ship for Grafana: what each panel asks for is there, in a real Prometheus that scraped a daemon at work.

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

/// Something that a panel asks for.
struct Question {
    panel: String,
    expression: String,
    instant: bool,
}

fn questions(dashboard: &Value) -> Vec<Question> {
    let mut questions = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = format!("{} / {}", dashboard["title"], panel["title"]);
        let targets: Vec<&Value> = panel["targets"].as_array().into_iter().flatten().collect();
        assert_eq!(targets.is_empty(), panel["type"] == "row", "{title} asks for nothing");
        questions.extend(targets.into_iter().map(|target| Question {
            panel: title.clone(),
            expression: target["expr"].as_str().unwrap().to_owned(),
            instant: target["instant"] == true,
        }));
    }
    questions
}

/// An expression as Grafana would send it with everything chosen and a step of a second.
fn filled_in(expression: &str) -> String {
    let filled =
        [("$__rate_interval", "20s"), ("$__range", "1m"), ("$job", ".+"), ("$instance", ".+"), ("$target", ".+")]
            .iter()
            .fold(expression.to_owned(), |text, (name, value)| text.replace(name, value));
    assert!(!filled.contains('$'), "a variable that the test does not know: {filled}");
    filled
}

/// Whether an answer has a number in it.
fn has_data(data: &Value) -> bool {
    let number = |sample: &Value| sample[1].as_str().is_some_and(|value| value != "NaN");
    data["result"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|series| number(&series["value"]) || series["values"].as_array().into_iter().flatten().any(number))
}

async fn answered(prometheus: &Prometheus, question: &Question) -> bool {
    let expression = filled_in(&question.expression);
    if question.instant {
        return has_data(&prometheus.ask("query", &[("query", &expression)]).await);
    }
    // Prometheus' own clock; a scalar comes as [time, value].
    let now = prometheus.ask("query", &[("query", "time()")]).await;
    let end: f64 = now["result"][1].as_str().unwrap().parse().unwrap();
    let (start, end) = ((end - 30.0).to_string(), end.to_string());
    let range = [("query", expression.as_str()), ("start", &start), ("end", &end), ("step", "1")];
    has_data(&prometheus.ask("query_range", &range).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs prometheus"]
async fn every_panel_has_something_to_show() {
    let scene = Scene::set(23).await;
    let mut daemon = scene.start(&[]);
    let address = address_of(&mut daemon).await;
    let rules = shipped("prometheus/meetwatch.rules.yml");
    let prometheus = Prometheus::start(scene.folder.path(), &address, "127.0.0.1:9", &rules).await;
    let stop = CancellationToken::new();
    let world = tokio::spawn(live(scene.simulator.clone(), 23, stop.clone()));

    let mut waiting: Vec<Question> = NAMES.iter().flat_map(|name| questions(&dashboard(name))).collect();
    assert!(waiting.len() > 50, "{}", waiting.len());
    let asking = async {
        while let Some(question) = waiting.last() {
            if answered(&prometheus, question).await {
                waiting.pop();
            } else {
                // The next scrape may bring it.
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        }
    };
    let all = tokio::time::timeout(3 * PATIENCE, asking).await;
    let empty = waiting.last().map(|question| format!("{}: {}", question.panel, filled_in(&question.expression)));
    assert!(all.is_ok(), "nothing to show in {}", empty.unwrap_or_default());
    stop.cancel();
    world.await.unwrap();

    // While it is at work, all its metrics are there.
    let metrics = reqwest::get(format!("http://{address}/metrics")).await.unwrap().text().await.unwrap();
    let said = said_by_promtool(metrics).await;
    assert!(said.is_empty(), "{said}");
    let mut health = Command::new(env!("CARGO_BIN_EXE_meetwatch"));
    let health = health.args(["health", "--url", &format!("http://{address}")]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&health.stdout), "ready\n", "{health:?}");
    daemon.stop().await;
}

#[test]
fn a_dashboard_asks_for_no_metric_that_there_is_not_and_names_its_panels() {
    for name in NAMES {
        let dashboard = dashboard(name);
        let mut metrics: Vec<String> =
            questions(&dashboard).iter().flat_map(|question| metrics_in(&question.expression)).collect();
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
fn an_answer_without_a_number_is_no_data() {
    let answer = |text: &str| has_data(&serde_json::from_str(text).unwrap());
    assert!(!answer(r#"{"result": []}"#));
    assert!(!answer(r#"{"result": [{"metric": {}, "values": [[1, "NaN"], [2, "NaN"]]}]}"#));
    assert!(answer(r#"{"result": [{"metric": {}, "values": [[1, "NaN"], [2, "0"]]}]}"#));
    assert!(answer(r#"{"result": [{"metric": {}, "value": [1, "3"]}]}"#));
}

#[test]
#[ignore = "needs Python"]
fn the_dashboards_are_what_their_source_makes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("dashboards")).unwrap();
    let source = folder.path().join("dashboards.py");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/grafana/dashboards.py"), &source).unwrap();
    assert!(Command::new("python3").arg(&source).status().unwrap().success());
    for name in NAMES {
        let made = std::fs::read_to_string(folder.path().join(format!("dashboards/{name}.json"))).unwrap();
        let same = made == shipped(&format!("grafana/dashboards/{name}.json"));
        assert!(same, "{name} is not what its source makes: run python3 deploy/grafana/dashboards.py");
    }
}
