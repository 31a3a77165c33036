//! Tests of the help texts: each is a file under `tests/data/help`, so that a change of one is seen and read.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};
use unicode_width::UnicodeWidthStr as _;

use super::Cli;

const REWRITE: &str = "if the new text is right, remove tests/data/help, run this test, and commit what it writes";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/help")
}

/// Adds what `--help` prints for the command at `path` and for all its commands, by file name.
fn collect(command: &Command, path: &[&str], texts: &mut BTreeMap<String, String>) {
    let asked = path.iter().copied().chain(["--help"]);
    let help = Cli::command().term_width(80).try_get_matches_from(asked).unwrap_err().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    texts.insert(format!("{}.txt", path.join("-")), lines.join("\n") + "\n");
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        collect(command, &[path, &[command.get_name()]].concat(), texts);
    }
}

fn texts() -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    collect(&Cli::command(), &["meetwatch"], &mut texts);
    texts
}

#[test]
fn every_help_text_is_as_it_was_when_somebody_read_it() {
    let texts = texts();
    let was_there = folder().exists();
    if !was_there {
        fs::create_dir_all(folder()).unwrap();
        texts.iter().for_each(|(name, text)| fs::write(folder().join(name), text).unwrap());
    }
    assert!(was_there, "tests/data/help was written: read and commit it, and run this test again");
    let mut stored = BTreeMap::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let entry = entry.unwrap();
        stored.insert(entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap());
    }
    let names = |texts: &BTreeMap<String, String>| texts.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&texts), names(&stored), "{REWRITE}");
    for (name, text) in &texts {
        assert_eq!(text, &stored[name], "{name} differs; {REWRITE}");
    }
}

#[test]
fn every_help_text_fits_80_columns_and_describes_every_option() {
    for (name, text) in texts() {
        for line in text.lines() {
            assert!(line.width() <= 80, "{name}: {line}");
        }
    }
    described(&Cli::command());
}

fn described(command: &Command) {
    let name = command.get_name();
    assert!(command.get_about().is_some(), "{name} has no description");
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        assert!(argument.get_help().is_some(), "{} of {name} has no description", argument.get_id());
    }
    command.get_subcommands().filter(|command| command.get_name() != "help").for_each(described);
}
