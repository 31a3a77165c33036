//! Looking into deliveries and mending them on the command line, beside a daemon that runs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use crate::repair_daemon::{Daemon, configured, webhook};
use crate::store_samples::joins;
use crate::webhook_receiver::{Answer, Receiver};

async fn meetwatch(config: &Path, arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_meetwatch"));
    command.args(arguments).arg("--config").arg(config).kill_on_drop(true);
    tokio::time::timeout(std::time::Duration::from_secs(30), command.output()).await.unwrap().unwrap()
}

async fn told(daemon: &Daemon, arguments: &[&str]) -> String {
    let output = meetwatch(&daemon.config, arguments).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[tokio::test]
async fn an_operator_finds_a_stuck_endpoint_and_resumes_it() {
    let mut receiver = Receiver::start(Answer::Status(410)).await;
    let daemon = Daemon::start(&webhook("ops", &receiver, ""), vec![joins("c", 1..=2, &["ops"])]).await;
    daemon.get_until("endpoints", |answer| answer["endpoints"][0]["enabled"] == false).await;
    let endpoints = told(&daemon, &["endpoints"]).await;
    assert!(endpoints.contains("off (gone)") && !endpoints.contains("s3cret"), "{endpoints}");
    let list = told(&daemon, &["deliveries", "--endpoint", "ops", "--state", "pending"]).await;
    assert_eq!(list.lines().count(), 3, "{list}");
    let id = list.lines().last().unwrap().split_whitespace().next().unwrap().to_owned();
    let shown = told(&daemon, &["deliveries", "show", &id]).await;
    assert!(shown.contains("410") && shown.contains("gone"), "{shown}");
    receiver.next().await;

    receiver.answer(Answer::Status(204));
    assert_eq!(told(&daemon, &["endpoints", "enable", "ops"]).await, "ops is on\n");
    receiver.want(1).await;
    receiver.want(2).await;
    daemon.get_until("deliveries?state=done", |answer| answer["deliveries"].as_array().unwrap().len() == 2).await;
    assert_eq!(told(&daemon, &["deliveries", "replay", &id]).await, "1 delivery is sent again\n");
    receiver.want(1).await;
    let json: serde_json::Value = serde_json::from_str(&told(&daemon, &["deliveries", "--json"]).await).unwrap();
    assert_eq!(json["deliveries"].as_array().unwrap().len(), 2);
    assert!(told(&daemon, &["status"]).await.starts_with("meetwatch "));
    assert!(told(&daemon, &["conferences"]).await.contains("conferenceRecords/c"));
    let report = told(&daemon, &["report", "conferenceRecords/c"]).await;
    assert!(report.starts_with("conferenceRecords/c") && report.contains("FIRST JOIN"), "{report}");
    let day = ["report", "--target", "board", "--date", "2026-01-05", "--csv"];
    assert!(told(&daemon, &day).await.starts_with("conference,meeting_code,targets,"));
    assert_eq!(told(&daemon, &["report", "--date", "2020-01-01"]).await, "no conferences in this time\n");
    assert_eq!(told(&daemon, &["events", "--json"]).await.lines().count(), 2);
    daemon.stop().await;
}

#[tokio::test]
async fn the_command_fails_if_a_test_does_not_arrive() {
    let receiver = Receiver::start(Answer::Status(204)).await;
    let daemon = Daemon::start(&webhook("ops", &receiver, ""), Vec::new()).await;
    assert!(told(&daemon, &["endpoints", "test", "ops"]).await.starts_with("ops accepted the test event: status 204"));
    receiver.answer(Answer::Status(500));
    let failed = meetwatch(&daemon.config, &["endpoints", "test", "ops"]).await;
    assert_eq!(failed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&failed.stdout).contains("did not accept the test event: server_error"));
    let unknown = meetwatch(&daemon.config, &["endpoints", "test", "nobody"]).await;
    assert_eq!(
        String::from_utf8_lossy(&unknown.stderr),
        "meetwatch: no such endpoint is configured; configured: `ops`\n"
    );
    daemon.stop().await;
}

#[tokio::test]
async fn without_a_running_daemon_the_command_fails_with_one_sentence() {
    let (folder, config, address) = configured("");
    let never = meetwatch(&config, &["endpoints"]).await;
    let told = String::from_utf8_lossy(&never.stderr).into_owned();
    assert!(told.contains("no daemon has run with this configuration") && told.lines().count() == 1, "{told}");
    let token = folder.path().join("m.db.token");
    std::fs::write(&token, "t".repeat(43)).unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let stopped = meetwatch(&config, &["deliveries"]).await;
    let told = String::from_utf8_lossy(&stopped.stderr).into_owned();
    assert!(told.contains(&format!("no daemon runs at http://{address}")) && told.lines().count() == 1, "{told}");
    assert_eq!(stopped.status.code(), Some(1));
}

#[tokio::test]
async fn every_new_secret_is_valid_and_different() {
    let secret = || async {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_meetwatch")).args(["secret", "new"]).output();
        String::from_utf8(output.await.unwrap().stdout).unwrap()
    };
    let (one, other) = (secret().await, secret().await);
    assert!(meetwatch::delivery::sign::SigningSecret::parse(&one).is_ok());
    assert!(one.starts_with("whsec_") && one != other);
}
