//! Third-party libraries, and the receivers of the manual, verify and parse real deliveries.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use axum::http::HeaderValue;
use meetwatch::clock::Clock;
use meetwatch::delivery::sign::SigningSecret;
use meetwatch::model::EventType;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::format_samples::whole_of;
use crate::repair_daemon::{Daemon, webhook};
use crate::store_samples::{commit, joins};
use crate::webhook_receiver::{Answer, Receiver};

const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");
const VENV: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin/python");
const NODE_FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/node");
const PATIENCE: Duration = Duration::from_secs(120);

/// Delivers every event type of a conference to both receivers.
async fn deliveries() -> Value {
    let mut standard = Receiver::start(Answer::Status(204)).await;
    let mut cloud = Receiver::start(Answer::Status(204)).await;
    let mut heaps = Receiver::start(Answer::Status(204)).await;
    (cloud.secret, heaps.secret) = (standard.secret.clone(), standard.secret.clone());
    let types = EventType::ALL.into_iter().filter(|event| *event != EventType::WebhookTest);
    let both = ["standard", "cloud", "heaps"];
    let events: Vec<_> = types.zip(1..).map(|(event, sequence)| whole_of(event, "c", sequence, &both)).collect();
    let count = events.len();
    let webhooks = webhook("standard", &standard, "")
        + &webhook("cloud", &cloud, "format = \"cloudevents\"")
        + &webhook("heaps", &heaps, &format!("format = \"cloudevents\"\nmax_events = {count}"));
    let daemon = Daemon::start(&webhooks, vec![commit("c", events)]).await;
    let (mut of_standard, mut of_cloud) = (Vec::new(), Vec::new());
    for _ in 0..count {
        of_standard.push(judged_delivery(&standard.next().await));
        of_cloud.push(judged_delivery(&cloud.next().await));
    }
    let of_heaps = vec![judged_delivery(&heaps.next().await)];
    daemon.stop().await;
    json!({
        "secret": standard.secret.reveal(),
        "standard": of_standard,
        "cloudevents": of_cloud,
        "batches": of_heaps,
    })
}

fn judged_delivery(got: &crate::webhook_receiver::Got) -> Value {
    let header = |(name, value): (&axum::http::HeaderName, &HeaderValue)| {
        (name.to_string(), Value::from(value.to_str().unwrap()))
    };
    let headers: serde_json::Map<String, Value> = got.headers.iter().map(header).collect();
    json!({"headers": headers, "body": std::str::from_utf8(&got.body).unwrap()})
}

async fn judged(mut command: Command, judges: &[&str]) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(deliveries().await.to_string().as_bytes()).await.unwrap();
    drop(stdin);
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    for judge in judges {
        assert!(told.contains(&format!("{judge}: agrees")), "{told}");
    }
}

#[tokio::test]
#[ignore = "needs Python with standardwebhooks, svix and cloudevents"]
async fn python_libraries_verify_and_parse_deliveries() {
    let mut command = Command::new(if Path::new(VENV).exists() { VENV } else { "python3" });
    command.arg(format!("{CLIENTS}/webhook_judges.py"));
    judged(command, &["standardwebhooks", "svix", "cloudevents"]).await;
}

#[tokio::test]
#[ignore = "needs Node with standardwebhooks and cloudevents"]
async fn node_libraries_verify_and_parse_deliveries() {
    let mut command = Command::new("node");
    command.arg(format!("{CLIENTS}/webhook_judges.mjs")).env("NODE_FOLDER", NODE_FOLDER);
    judged(command, &["standardwebhooks", "cloudevents"]).await;
}

/// Starts a receiver of the manual. Returns it with the lines that it prints and its port.
async fn started(mut command: Command, secrets: &str) -> (Child, Lines<BufReader<ChildStdout>>, u16) {
    command.env("WEBHOOK_SECRETS", secrets);
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = next(&mut lines).await.parse().unwrap();
    (child, lines, port)
}

async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap()
}

fn script(program: &str, script: &str) -> Command {
    let mut command = Command::new(program);
    command.arg(format!("{CLIENTS}/{script}"));
    command
}

async fn accepts_signed_deliveries_only(command: Command) {
    let receiver = Receiver::start(Answer::Status(204)).await;
    let other = SigningSecret::from_bytes(vec![1; 32]).unwrap();
    let secrets = format!("{} {}", other.reveal(), receiver.secret.reveal());
    let (_child, mut lines, port) = started(command, &secrets).await;
    let leading = |name: &str, secret: &str| {
        format!("[[webhook]]\nname = \"{name}\"\nurl = \"http://127.0.0.1:{port}/\"\nsecret = \"{secret}\"\n")
    };
    let stranger = SigningSecret::from_bytes(vec![2; 32]).unwrap();
    let webhooks = leading("good", &receiver.secret.reveal()) + &leading("bad", &stranger.reveal());
    let daemon = Daemon::start(&webhooks, vec![joins("c", 1..=2, &["good"])]).await;
    for sequence in 1..=2 {
        assert_eq!(next(&mut lines).await, crate::store_samples::event("c", sequence, &[]).id.as_str());
    }
    assert_eq!(daemon.post("endpoints/bad/test", "").await["status"], 401);
    assert_eq!(next(&mut lines).await, "refused");
    daemon.stop().await;

    let now = Clock::new().now().wall.as_second();
    let signed = |secret: &SigningSecret, timestamp: i64| secret.sign("evt_a", timestamp, b"{ }");
    let good = signed(&receiver.secret, now);
    let both = format!("v1a,abcd {} {good}", signed(&stranger, now));
    let late = signed(&receiver.secret, now - 400);
    let cases = [
        (now.to_string(), good.clone(), "{ }", true),
        (now.to_string(), both, "{ }", true),
        (now.to_string(), good.clone(), "{}", false),
        ((now - 400).to_string(), late, "{ }", false),
        ("soon".to_owned(), good.clone(), "{ }", false),
        ("9".repeat(5000), good, "{ }", false),
        (now.to_string(), String::new(), "{ }", false),
        (now.to_string(), "v1,\u{e9} v1,".to_owned(), "{ }", false),
    ];
    for (timestamp, signature, body, taken) in cases {
        let signature = HeaderValue::from_bytes(&signature.chars().map(|c| c as u8).collect::<Vec<_>>()).unwrap();
        let request = reqwest::Client::new().post(format!("http://127.0.0.1:{port}/")).header("webhook-id", "evt_a");
        let request = request.header("webhook-timestamp", &timestamp).header("webhook-signature", &signature);
        let status = request.body(body).send().await.unwrap().status();
        assert_eq!(status, if taken { 204 } else { 401 }, "{timestamp} {signature:?} {body}");
        assert_eq!(next(&mut lines).await, if taken { "evt_a" } else { "refused" });
    }
}

#[tokio::test]
#[ignore = "needs Python"]
async fn the_manuals_receiver_in_python_accepts_signed_deliveries_only() {
    accepts_signed_deliveries_only(script("python3", "webhook_receiver.py")).await;
}

#[tokio::test]
#[ignore = "needs Node"]
async fn the_manuals_receiver_in_node_accepts_signed_deliveries_only() {
    accepts_signed_deliveries_only(script("node", "webhook_receiver.mjs")).await;
}

#[tokio::test]
#[ignore = "needs PHP"]
async fn the_manuals_receiver_in_php_accepts_signed_deliveries_only() {
    accepts_signed_deliveries_only(script("php", "webhook_receiver.php")).await;
}

#[tokio::test]
#[ignore = "needs a JDK"]
async fn the_manuals_receiver_in_java_accepts_signed_deliveries_only() {
    accepts_signed_deliveries_only(script("java", "WebhookReceiver.java")).await;
}

#[tokio::test]
#[ignore = "needs Go"]
async fn the_manuals_receiver_in_go_accepts_signed_deliveries_only() {
    // A kill of `go run` does not end the program that it runs.
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("receiver");
    let mut build = Command::new("go");
    build.arg("build").arg("-o").arg(&program).arg(format!("{CLIENTS}/webhook_receiver.go"));
    let built = tokio::time::timeout(2 * PATIENCE, build.kill_on_drop(true).status()).await.unwrap().unwrap();
    assert!(built.success());
    accepts_signed_deliveries_only(Command::new(program)).await;
}

/// Returns the part of a script between two lines, as the manual shows it.
fn part_of(script: &str, begins: &str, ends: &str) -> String {
    let text = std::fs::read_to_string(format!("{CLIENTS}/{script}")).unwrap();
    let begin = text.find(begins).unwrap();
    let end = begin + text[begin..].find(ends).unwrap();
    text[begin..end].trim_end().to_owned()
}

#[test]
fn the_manual_shows_the_functions_that_are_tested() {
    let manual = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/WEBHOOKS.md")).unwrap();
    for (script, begins, ends) in [
        ("webhook_receiver.py", "import base64", "\nimport os"),
        ("webhook_receiver.py", "def verify", "\n\n\nclass"),
        ("webhook_receiver.mjs", "import { createHmac", "\nimport { createServer"),
        ("webhook_receiver.mjs", "function verify", "\n\nconst secrets"),
        ("webhook_receiver.php", "function verify", "\n\n$secrets"),
        ("WebhookReceiver.java", "import java.nio", "\n\nclass"),
        ("WebhookReceiver.java", "static boolean verify", "\n\nstatic String"),
        ("webhook_receiver.go", "import (\n\t\"crypto/hmac\"", "\n\nfunc main"),
    ] {
        let part = part_of(script, begins, ends);
        assert!(manual.contains(&part), "the manual does not show this part of {script}: {part}");
    }
}
