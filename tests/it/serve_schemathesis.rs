//! schemathesis generates valid and invalid requests from the OpenAPI document and checks the responses of a running daemon
//! against it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::deploy_prometheus::changed;
use crate::house::House;
use crate::serve_openapi::{EVENT, OPENAPI, described, lived_in};

const VENV: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin/schemathesis");

/// All checks, except that these operations may refuse valid data: a schema cannot express that `from` must be before `to`.
const CONFIG: &str = r#"
[[operations]]
include-name = ["GET /api/v1/attendance", "POST /api/v1/deliveries/replay"]
checks.positive_data_acceptance.enabled = false
"#;

/// Runs schemathesis against a daemon. Returns whether it succeeded, and its output.
async fn run_schemathesis(house: &House) -> (bool, String) {
    let token = std::fs::read_to_string(house.path("meetwatch.db.token")).unwrap();
    let program = if Path::new(VENV).exists() { VENV } else { "schemathesis" };
    let folder = tempfile::tempdir().unwrap();
    // Replace the example by an existing conference, so that not every response is 404.
    let name = house.log().await.into_iter().find_map(|event| event.conference).unwrap().name;
    let id = name.as_str().split('/').nth(1).unwrap().to_owned();
    let document = folder.path().join("openapi.json");
    std::fs::write(&document, changed(OPENAPI, &[("a1b2c3", &id)])).unwrap();
    let config = folder.path().join("schemathesis.toml");
    std::fs::write(&config, CONFIG).unwrap();
    std::fs::write(folder.path().join("event.schema.json"), EVENT).unwrap();
    let output = Command::new(program)
        .arg("--config-file")
        .arg(config)
        .arg("run")
        .arg(document)
        .args(["--url", &format!("http://{}", house.address())])
        .args(["--header", &format!("Authorization: Bearer {}", token.trim())])
        .args(["--seed", "20260105", "--max-examples", "100"])
        .args(["--workers", "1", "--no-shrink", "--continue-on-failure", "--no-color"])
        .args(["--generation-database", "none", "--suppress-health-check", "all", "--request-timeout", "60"])
        // It writes temporary files to the current directory.
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(900), output)
        .await
        .expect("schemathesis does not finish within 900 s")
        .unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.success(), text)
}

#[tokio::test]
#[ignore = "needs schemathesis"]
async fn schemathesis_finds_no_response_that_contradicts_the_document() {
    let mut house = lived_in().await;
    let (success, text) = run_schemathesis(&house).await;
    assert!(success, "{text}");
    let operations = described().values().map(BTreeSet::len).sum::<usize>();
    assert!(text.contains(&format!("Tested: {operations}\n")), "not every operation was tested: {text}");
    house.stop().await;
}
