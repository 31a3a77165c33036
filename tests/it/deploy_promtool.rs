//! The shipped files for Prometheus are valid for its own tools.

use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus")
}

/// Returns the files in the folder whose names have this ending.
fn files(ending: &str) -> Vec<PathBuf> {
    let both = [folder(), folder().join("tests")];
    let entries = both.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    files.sort();
    assert!(!files.is_empty(), "no file ends with {ending}");
    files
}

fn assert_accepted(program: &str, arguments: &[&str], files: &[PathBuf]) {
    let output = Command::new(program).args(arguments).args(files).output().expect("the program is installed");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}

#[test]
#[ignore = "needs promtool"]
fn promtool_accepts_the_configuration_and_the_rules() {
    assert_accepted("promtool", &["check", "config"], &files("prometheus.yml"));
    assert_accepted("promtool", &["check", "rules"], &files(".rules.yml"));
}

#[test]
#[ignore = "needs promtool"]
fn every_alert_fires_when_it_must_and_not_before() {
    assert_accepted("promtool", &["test", "rules"], &files(".test.yml"));
}

#[test]
#[ignore = "needs amtool"]
fn amtool_accepts_the_configuration_of_alertmanager() {
    assert_accepted("amtool", &["check-config"], &files("alertmanager.yml"));
}
