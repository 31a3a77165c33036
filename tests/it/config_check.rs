//! The output and the exit codes of `meetwatch check`.

use std::io::Read as _;
use std::process::{Command, Output, Stdio};

fn meetwatch(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meetwatch"));
    command.args(arguments).stdin(Stdio::null());
    for variable in ["GOOGLE_APPLICATION_CREDENTIALS", "CREDENTIALS_DIRECTORY", "CLOUDSDK_CONFIG", "HOME"] {
        command.env_remove(variable);
    }
    command
}

fn checked(config: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.toml");
    std::fs::write(&path, config).unwrap();
    meetwatch(&["check", "--config", path.to_str().unwrap()]).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_valid_configuration_is_reported_with_its_warnings() {
    let output = checked("[[identity]]\nname = \"me\"\napplication_default = true\n");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).ends_with("m.toml is valid: 1 identity, 0 targets, 0 webhooks\n"), "{output:?}");
    assert!(text(&output.stderr).starts_with("warning: ") && text(&output.stderr).contains("nothing is watched"));
}

#[test]
fn a_bad_configuration_ends_with_78_and_all_problems_and_nothing_on_standard_output() {
    let output = checked("[wach]\n[server]\nlisten = 5\n");
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    assert_eq!(text(&output.stdout), "");
    assert_eq!(text(&output.stderr).lines().count(), 3, "{output:?}");
}

#[test]
fn wrong_usage_ends_with_2() {
    for arguments in [
        &["check", "a", "--config", "a"][..],
        &["chek"],
        &["check", "--config", "a", "--json"],
        &["check", "--example", "--test-endpoints"],
        &["check", "--example", "--online"],
        &["check", "--log", "loud"],
    ] {
        let output = meetwatch(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    }
}

#[test]
fn check_example_prints_the_example() {
    let output = meetwatch(&["check", "--example"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), meetwatch::config::EXAMPLE);
}

#[test]
fn a_closed_standard_output_is_not_a_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = meetwatch(&["check", "--example"]);
    let mut child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let mut complaint = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    assert_eq!((child.wait().unwrap().code(), complaint.as_str()), (Some(0), ""));
}

#[test]
fn the_version_names_the_revision() {
    let output = meetwatch(&["--version"]).output().unwrap();
    let version = text(&output.stdout);
    assert!(version.starts_with(concat!("meetwatch ", env!("CARGO_PKG_VERSION"), " (")), "{version}");
}
