//! schemathesis is the judge: it makes requests of the OpenAPI document, right ones and wrong ones, and holds a live daemon's
//! answers to it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::deploy_prometheus::changed;
use crate::house::House;
use crate::serve_openapi::{EVENT, OPENAPI, described, lived_in};

const VENV: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin/schemathesis");

/// All of its checks, but that `from` has to lie before `to` is nothing that a schema can say.
const CONFIG: &str = r#"
[[operations]]
include-name = ["GET /api/v1/attendance", "POST /api/v1/deliveries/replay"]
checks.positive_data_acceptance.enabled = false
"#;

/// What it says of a daemon, and whether that is well.
async fn judged(house: &House) -> (bool, String) {
    let token = std::fs::read_to_string(house.path("meetwatch.db.token")).unwrap();
    let program = if Path::new(VENV).exists() { VENV } else { "schemathesis" };
    let folder = tempfile::tempdir().unwrap();
    // With something that is there in place of an example, so that not everything is answered with 404.
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
        // What it writes by the way.
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(900), output).await.expect("it comes to no end").unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.success(), said)
}

#[tokio::test]
#[ignore = "needs schemathesis"]
async fn whatever_schemathesis_makes_of_the_document_is_answered_as_it_says() {
    let mut house = lived_in().await;
    let (well, said) = judged(&house).await;
    assert!(well, "{said}");
    let operations = described().values().map(BTreeSet::len).sum::<usize>();
    assert!(said.contains(&format!("Tested: {operations}\n")), "something was left out: {said}");
    house.stop().await;
}
