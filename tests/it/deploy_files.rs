//! What ships under `deploy/` fits the program and its documentation.

use std::collections::BTreeSet;

use crate::deploy_prometheus::shipped;

const OPERATIONS: &str = include_str!("../../docs/OPERATIONS.md");
const METRICS: &str = include_str!("../../docs/METRICS.md");
const RULES: [&str; 2] = ["prometheus/meetwatch.rules.yml", "prometheus/meetings.rules.yml"];
const RULE_TESTS: [&str; 4] = ["deliveries", "meetings", "process", "watching"];

/// An alert as its lines say it.
struct Alert {
    name: String,
    text: String,
}

fn alerts() -> Vec<Alert> {
    let texts = RULES.map(shipped);
    let starts = texts.iter().flat_map(|text| text.split("      - alert: ").skip(1));
    // What follows an alert may be a rule that is none.
    let blocks = starts.map(|block| block.split("      - record: ").next().unwrap_or_default());
    blocks.map(|block| Alert { name: block.lines().next().unwrap().to_owned(), text: block.to_owned() }).collect()
}

/// The anchor that a heading has in the web's renderings of Markdown.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_alert_says_how_bad_it_is_what_it_is_and_where_to_read_on() {
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
fn every_alert_is_tried_firing_and_not() {
    let tests: String = RULE_TESTS.iter().map(|name| shipped(&format!("prometheus/tests/{name}.test.yml"))).collect();
    for Alert { name, .. } in alerts() {
        let wanted = format!("      - alertname: {name}\n");
        let tried: Vec<&str> =
            tests.split(&wanted).skip(1).map(|rest| rest.split("      - alertname: ").next().unwrap()).collect();
        assert!(tried.iter().any(|one| one.contains("exp_alerts: []")), "{name} is never tried when it is not to fire");
        assert!(tried.iter().any(|one| one.contains("exp_labels:")), "{name} is never tried when it is to fire");
    }
}

/// The names of meetwatch's metrics in a text.
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
fn what_ships_asks_for_no_metric_that_there_is_not() {
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
fn an_anchor_is_what_a_heading_becomes() {
    assert_eq!(anchor(" A file of the store was deleted, moved"), "a-file-of-the-store-was-deleted-moved");
    assert_eq!(anchor(" MeetwatchDown"), "meetwatchdown");
}
