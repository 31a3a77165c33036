//! The commands that somebody tries things with: `listen`, `demo`, `completions`, and the questions before something is
//! deleted or sent again.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use meetwatch::clock::Clock;
use meetwatch::delivery::sign::SigningSecret;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::repair_daemon::{Daemon, webhook};
use crate::store_samples::joins;
use crate::webhook_receiver::{Answer, Receiver};

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn meetwatch(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meetwatch"));
    command.args(arguments).kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn output(command: &mut Command) -> Output {
    tokio::time::timeout(Duration::from_secs(60), command.output()).await.unwrap().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Starts `listen` and returns it with its address.
pub(crate) async fn listening(arguments: &[&str]) -> (Child, String) {
    let all = [&["listen", "--listen", "127.0.0.1:0", "--secret", SECRET], arguments].concat();
    let mut child = meetwatch(&all).spawn().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = errors.next_line().await.unwrap().unwrap();
    let address = line.strip_prefix("listening on ").expect(&line).to_owned();
    tokio::spawn(async move { while let Ok(Some(_)) = errors.next_line().await {} });
    (child, address)
}

/// Sends a signed event and returns the status of the answer.
async fn post(address: &str) -> u16 {
    let body = r#"{"type":"webhook.test","timestamp":"2026-01-05T10:00:00Z","data":{"schema":1,"id":"evt_a",
        "type":"webhook.test","time":"2026-01-05T10:00:00Z","observed_at":"2026-01-05T10:00:01Z","provenance":"observed",
        "sequence":null,"targets":[],"conference":null,"participant":null,"session":null,"present":null,"corrects":null}}"#;
    let now = Clock::new().now().wall.as_second();
    let signature = SigningSecret::parse(SECRET).unwrap().sign("evt_a", now, body.as_bytes());
    let request = reqwest::Client::builder().no_proxy().build().unwrap().post(address);
    let request = request.header("webhook-id", "evt_a").header("webhook-timestamp", now);
    request.header("webhook-signature", signature).body(body).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn listen_makes_the_trouble_that_it_is_asked_for() {
    let (_failing, address) = listening(&["--status", "503"]).await;
    assert_eq!([post(&address).await, post(&address).await], [503, 503]);
    let (_limited, address) = listening(&["--rate", "1/h", "--status", "429"]).await;
    assert_eq!([post(&address).await, post(&address).await], [204, 429]);
    let (_well, address) = listening(&["--status", "202", "--delay", "1ms"]).await;
    assert_eq!(post(&address).await, 202);
}

#[tokio::test]
async fn listen_passes_requests_on_and_answers_what_was_answered() {
    let (_behind, target) = listening(&["--status", "202"]).await;
    let (_before, address) = listening(&["--forward", &target]).await;
    assert_eq!(post(&address).await, 202, "the signature is still valid behind it");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_nowhere, address) = listening(&["--forward", &format!("http://{free}/")]).await;
    assert_eq!(post(&address).await, 502);
}

async fn told(config: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = output(meetwatch(arguments).arg("--config").arg(config)).await;
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn what_is_deleted_or_sent_again_is_said_first_and_deleting_needs_a_yes() {
    let receiver = Receiver::start(Answer::Status(410)).await;
    let daemon = Daemon::start(&webhook("old", &receiver, ""), vec![joins("c", 1..=2, &["old"])]).await;
    let daemon = daemon.reconfigured(&webhook("ops", &receiver, "")).await;
    let config = daemon.config.clone();
    let (code, out, error) = told(&config, &["endpoints", "remove", "old"]).await;
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(error.contains("2 pending") && error.contains("--yes") && error.lines().count() == 1, "{error}");
    let (code, out, _) = told(&config, &["endpoints", "remove", "old", "--dry-run"]).await;
    assert!(code == Some(0) && out.contains("2 pending") && out.contains("nothing was changed"), "{out}");
    assert!(told(&config, &["endpoints"]).await.1.contains("orphaned"), "it is still there");
    let (code, out, _) = told(&config, &["endpoints", "remove", "old", "--yes"]).await;
    assert!(code == Some(0) && out.contains("2 deliveries"), "{out}");
    let replay = ["deliveries", "replay", "--endpoint", "ops", "--dead"];
    let (code, out, _) = told(&config, &[&replay[..], &["--dry-run"]].concat()).await;
    assert!(code == Some(0) && out.starts_with("0 deliveries are sent again to ops"), "{out}");
    let (code, out, _) = told(&config, &replay).await;
    assert_eq!((code, out.as_str()), (Some(0), "0 deliveries are sent again\n"), "a script is not asked");
    daemon.stop().await;
}

async fn line_with(lines: &mut Lines<BufReader<ChildStdout>>, wanted: &str) -> String {
    loop {
        let line = lines.next_line().await.unwrap().expect("the demonstration ended early");
        if line.contains(wanted) {
            return line;
        }
    }
}

#[tokio::test]
async fn the_demonstration_suggests_commands_that_work_and_fits_80_columns() {
    let mut demo = meetwatch(&["demo", "--seconds", "600"]).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let suggested = tokio::time::timeout(Duration::from_secs(60), line_with(&mut lines, "meetwatch conferences")).await;
    let suggested = suggested.unwrap();
    let arguments: Vec<&str> = suggested.split_whitespace().skip(1).collect();
    tokio::time::timeout(Duration::from_secs(60), line_with(&mut lines, "joined (")).await.unwrap();
    let conferences = output(&mut meetwatch(&arguments)).await;
    assert!(conferences.status.success() && text(&conferences.stdout).contains("everything"), "{conferences:?}");
    for _ in 0..20 {
        let line = lines.next_line().await.unwrap().unwrap();
        assert!(line.chars().count() <= 80 && !line.contains("device"), "{line}");
    }
    demo.kill().await.unwrap();
}

#[tokio::test]
async fn a_shell_is_told_the_names_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("m.toml");
    std::fs::write(&config, "[[webhook]]\nname = \"ops\"\n[[webhook]]\nname = \"board\"\n").unwrap();
    let line = ["--", "meetwatch", "deliveries", "--config", config.to_str().unwrap(), "--endpoint", "o"];
    let answer = output(meetwatch(&line).env("COMPLETE", "fish")).await;
    assert_eq!((answer.status.code(), text(&answer.stdout).trim()), (Some(0), "ops"));
    let script = output(&mut meetwatch(&["completions", "zsh"])).await;
    assert!(text(&script.stdout).starts_with("#compdef meetwatch"), "{script:?}");
    let unknown = output(&mut meetwatch(&["completions", "tcsh"])).await;
    assert_eq!(unknown.status.code(), Some(2));
}
