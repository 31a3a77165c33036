//! `/metrics` as Prometheus scrapes it.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use meetwatch::model::{ConferenceName, TargetName};
use meetwatch::status::{ConferenceStatus, StatusBoard, TargetStatus};

use crate::serve_access::{Running, on, start};

fn fill(board: &StatusBoard, conferences: usize) {
    let target = TargetName::parse("board").unwrap();
    let discovered = TargetStatus { last_discovery: Some(jiff::Timestamp::UNIX_EPOCH) };
    board.write().targets.insert(target.clone(), discovered);
    for number in 0..conferences {
        let conference = ConferenceStatus {
            targets: vec![target.clone()],
            start: jiff::Timestamp::UNIX_EPOCH,
            last_read: Some(jiff::Timestamp::UNIX_EPOCH),
            present: [1, 2, 3, 4],
            open_sessions: 11,
            sequence: 1,
        };
        let name = ConferenceName::parse(&format!("conferenceRecords/{number}")).unwrap();
        board.write().conferences.insert(name, conference);
    }
}

async fn scrape(server: &Running) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("http://{}/metrics", server.address)).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4");
    String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap()
}

/// The names of all metric families in a scrape.
fn families(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
}

#[tokio::test]
async fn a_scrape_shows_the_build_the_process_and_live_conferences() {
    let server = start(on(Ipv4Addr::LOCALHOST)).await;
    fill(&server.board, 2);
    let text = scrape(&server).await;
    for start_of_line in [
        "meetwatch_build_info{revision=\"",
        "meetwatch_conference_participants{conference=\"conferenceRecords/1\",kind=\"unknown\"} 4",
        "meetwatch_target_participants{kind=\"phone\",target=\"board\"} 6",
        "meetwatch_limit_reached_total{limit=\"http_connections\"} 0",
        "process_resident_memory_bytes ",
    ] {
        let sorted = |line: &str| {
            let mut parts: Vec<String> = line.split(['{', ',', '}']).map(str::to_owned).collect();
            parts.sort();
            parts
        };
        let found = text.lines().any(|line| line.starts_with(start_of_line) || sorted(line) == sorted(start_of_line));
        assert!(found, "{start_of_line} is not in\n{text}");
    }
}

#[tokio::test]
async fn every_metric_is_documented() {
    let server = start(on(Ipv4Addr::LOCALHOST)).await;
    fill(&server.board, 1);
    let text = scrape(&server).await;
    let documented = include_str!("../../docs/METRICS.md");
    let names = families(&text);
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        assert!(documented.contains(&format!("`{name}`")), "{name} is not in docs/METRICS.md");
    }
}

#[tokio::test]
#[ignore = "needs promtool"]
async fn promtool_reports_no_problem() {
    let server = start(on(Ipv4Addr::LOCALHOST)).await;
    fill(&server.board, 2);
    let text = scrape(&server).await;
    let said = said_by_promtool(text).await;
    assert!(said.is_empty(), "{said}");
}

/// Returns the output of `promtool check metrics` for a scrape; empty if there is no problem.
pub(crate) async fn said_by_promtool(text: String) -> String {
    let output = tokio::task::spawn_blocking(move || {
        let mut command = Command::new("promtool");
        command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("promtool, from Debian's package prometheus");
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    });
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if output.status.success() { said } else { format!("{}: {said}", output.status) }
}
