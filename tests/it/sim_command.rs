//! The command `meetwatch sim`.

use std::future::{pending, ready};
use std::os::unix::fs::PermissionsExt;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use meetwatch::cli::sim::{Args, run_until};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    sim: Args,
}

fn args(arguments: &[&str]) -> Args {
    Command::try_parse_from([&["sim"], arguments].concat()).unwrap().sim
}

/// Runs the command, stops it as soon as it has started, and returns its output and exit code.
async fn printed(arguments: &[&str]) -> (String, ExitCode) {
    let mut out = Vec::new();
    let code = run_until(args(arguments), &mut out, ready(Ok(()))).await.unwrap();
    (String::from_utf8(out).unwrap(), code)
}

#[test]
fn the_options_are_consistent() {
    Command::command().debug_assert();
    assert!(Command::try_parse_from(["sim", "--speed", "0"]).is_err());
    assert!(Command::try_parse_from(["sim", "--script", "x", "--people", "3"]).is_err());
}

#[tokio::test]
async fn the_first_line_is_the_address_and_the_command_stops_when_it_is_told_to() {
    let (out, code) = printed(&["--seed", "7", "--conferences", "3", "--speed", "10"]).await;
    let first = out.lines().next().unwrap();
    let port = first.strip_prefix("listening on http://127.0.0.1:").unwrap();
    assert_ne!(port.parse::<u16>().unwrap(), 0);
    assert_eq!(code, ExitCode::SUCCESS);
    assert_eq!(out.lines().last().unwrap().split_whitespace().count(), 2 + 3, "a meeting code for each: {out}");
}

#[tokio::test]
async fn the_example_is_a_script_that_the_command_plays() {
    let (example, code) = printed(&["--example"]).await;
    assert_eq!(code, ExitCode::SUCCESS);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("day.toml");
    std::fs::write(&path, example).unwrap();
    let (out, code) = printed(&["--script", path.to_str().unwrap()]).await;
    assert_eq!(code, ExitCode::SUCCESS);
    assert!(out.contains("abc-mnop-xyz"));
}

#[tokio::test]
async fn an_invalid_script_or_an_unknown_fault_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("day.toml");
    std::fs::write(&path, "[people.a]\nage = 3\n").unwrap();
    for arguments in [["--script", path.to_str().unwrap()], ["--faults", "throtled"]] {
        let mut out = Vec::new();
        // A simulator that started would never stop.
        let code = run_until(args(&arguments), &mut out, pending()).await.unwrap();
        assert_eq!((code, out.len()), (ExitCode::from(78), 0));
    }
    let missing = run_until(args(&["--script", "/nowhere/at.all"]), &mut Vec::new(), pending()).await;
    assert!(missing.unwrap_err().to_string().contains("--script: the file /nowhere/at.all does not exist"));
}

#[tokio::test]
async fn faults_can_be_combined_and_listed() {
    let (out, _) = printed(&["--faults", "help"]).await;
    let names: Vec<&str> = out.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let (_, code) = printed(&["--faults", &names.join(",")]).await;
    assert_eq!(code, ExitCode::SUCCESS);
}

#[tokio::test]
async fn key_files_are_readable_only_by_their_owner_and_point_at_the_simulator() {
    let folder = tempfile::tempdir().unwrap();
    let [key, secret] = ["key.json", "client.json"].map(|name| folder.path().join(name));
    let (out, _) = printed(&[
        "--require-auth",
        "--write-key",
        key.to_str().unwrap(),
        "--write-client-secret",
        secret.to_str().unwrap(),
        "--print-key",
    ])
    .await;
    let base = out.lines().next().unwrap().strip_prefix("listening on ").unwrap();
    for path in [&key, &secret] {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(std::fs::read_to_string(path).unwrap().contains(&format!("{base}/token")));
    }
    assert!(out.contains("-----BEGIN PRIVATE KEY-----"));
}
