//! What ships for Prometheus, as Prometheus' own tools judge it.

use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus")
}

/// Files in the folder with this end to their names.
fn files(ending: &str) -> Vec<PathBuf> {
    let both = [folder(), folder().join("tests")];
    let entries = both.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    files.sort();
    assert!(!files.is_empty(), "there is no …{ending}");
    files
}

fn is_satisfied(program: &str, arguments: &[&str], files: &[PathBuf]) {
    let output = Command::new(program).args(arguments).args(files).output().expect("from Debian's packages");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}

#[test]
#[ignore = "needs promtool"]
fn promtool_finds_nothing_wrong_with_the_configuration_and_the_rules() {
    is_satisfied("promtool", &["check", "config"], &files("prometheus.yml"));
    is_satisfied("promtool", &["check", "rules"], &files(".rules.yml"));
}

#[test]
#[ignore = "needs promtool"]
fn every_alert_fires_when_it_is_to_and_not_before() {
    is_satisfied("promtool", &["test", "rules"], &files(".test.yml"));
}

#[test]
#[ignore = "needs amtool"]
fn amtool_finds_nothing_wrong_with_the_configuration_of_alertmanager() {
    is_satisfied("amtool", &["check-config"], &files("alertmanager.yml"));
}
