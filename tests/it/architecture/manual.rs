//! `docs/ARCHITECTURE.md` names files and tests that exist, and every top-level module.

use std::collections::{BTreeMap, BTreeSet};

use super::directions::uses_as_documented;
use super::scan::tests_in;
use super::{files_under, module_of, read, root, rust_files_under};

/// The texts between backticks, without blocks of code.
fn quoted(manual: &str) -> BTreeSet<&str> {
    let prose = manual.split("```").step_by(2);
    prose.flat_map(|text| text.split('`').skip(1).step_by(2)).collect()
}

/// The quoted paths of the repository that do not exist.
fn missing_paths<'m>(quoted: &BTreeSet<&'m str>) -> Vec<&'m str> {
    const PLACES: [&str; 5] = ["deploy/", "docs/", "src/", "systemd/", "tests/"];
    let in_src = |path: &str| ["", ".rs"].iter().any(|end| root().join(format!("src/{path}{end}")).exists());
    // `NAME` stands for a file that a change adds; `watch/run` is short for `src/watch/run.rs`.
    let is_path = |text: &&&str| text.contains('/') && !text.contains([' ', '*', ':']) && !text.contains("NAME");
    let exists =
        |path: &str| if PLACES.iter().any(|at| path.starts_with(at)) { root().join(path).exists() } else { false };
    quoted
        .iter()
        .filter(is_path)
        .copied()
        .filter(|path| !path.starts_with('/') && !exists(path) && !in_src(path))
        .collect()
}

#[test]
fn the_map_names_files_that_exist() {
    let manual = read("docs/ARCHITECTURE.md");
    let quoted = quoted(&manual);
    assert!(quoted.len() > 100, "{}", quoted.len());
    assert_eq!(missing_paths(&quoted), Vec::<&str>::new());
}

#[test]
fn the_map_names_tests_that_exist() {
    let manual = read("docs/ARCHITECTURE.md");
    let files = ["src", "tests/it"].into_iter().flat_map(rust_files_under);
    let tests: BTreeSet<String> = files.flat_map(|file| tests_in(&read(&file))).collect();
    let is_test =
        |name: &&str| name.matches('_').count() >= 4 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let named: Vec<&str> = quoted(&manual).into_iter().filter(is_test).collect();
    let missing: Vec<&&str> =
        named.iter().filter(|name| !name.starts_with("meetwatch_") && !tests.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(named.len() > 10, "{named:?}");
}

#[test]
fn every_module_has_a_row_in_the_map() {
    let manual = read("docs/ARCHITECTURE.md");
    let rows: BTreeSet<&str> = manual
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .flat_map(|row| quoted(row.split(" | ").next().unwrap_or_default()))
        .map(|name| name.trim_end_matches('/'))
        .collect();
    let outside = ["build", "lib"];
    let files = files_under("src");
    let modules: BTreeSet<&str> =
        files.iter().filter(|file| file.ends_with(".rs")).map(|file| module_of(file)[0]).collect();
    let missing: Vec<&&str> = modules.iter().filter(|name| !outside.contains(name) && !rows.contains(**name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// What the third column of the table of modules says that a module may use. `all` is every module but itself.
fn documented_uses(manual: &str) -> BTreeMap<&str, BTreeSet<String>> {
    let table = manual.split("\n| module |").nth(1).unwrap_or_default();
    let rows = table.lines().skip(2).map_while(|line| line.strip_prefix("| "));
    let cells: Vec<(Vec<&str>, &str)> = rows
        .filter_map(|row| {
            let mut cells = row.trim_end_matches(" |").split(" | ");
            let (names, uses) = (cells.next()?, cells.nth(1)?);
            Some((names.split('`').skip(1).step_by(2).map(|name| name.trim_end_matches('/')).collect(), uses))
        })
        .collect();
    let every: Vec<&str> = cells.iter().flat_map(|(names, _)| names.iter().copied()).collect();
    let uses = |name: &str, cell: &str| match cell {
        "no other module" => BTreeSet::new(),
        "all" => every.iter().filter(|other| **other != name && **other != "main").map(ToString::to_string).collect(),
        cell => cell.split('`').skip(1).step_by(2).map(str::to_owned).collect(),
    };
    let rows = cells.iter().flat_map(|(names, cell)| names.iter().map(move |name| (*name, *cell)));
    rows.filter(|(name, _)| *name != "main").map(|(name, cell)| (name, uses(name, cell))).collect()
}

#[test]
fn the_map_says_of_each_module_what_it_may_use() {
    let manual = read("docs/ARCHITECTURE.md");
    let (documented, held) = (documented_uses(&manual), uses_as_documented());
    assert_eq!(Vec::from_iter(documented.keys()), Vec::from_iter(held.keys()));
    for (module, uses) in held {
        assert_eq!(documented[module], uses, "the row of `{module}` and MODULES in directions.rs differ");
    }
}

#[test]
fn the_third_column_is_read() {
    let text = "\n| module | what | may use |\n|---|---|---|\n| `a/` | x | no other module |\n\
        | `b` | y | `a`, and `c::d` for `e::f` |\n| `c`, `main` | z | all |\n\n| `g` | no row | `a` |\n";
    let found: Vec<String> =
        documented_uses(text).into_iter().map(|(name, uses)| format!("{name}: {uses:?}")).collect();
    assert_eq!(found, ["a: {}", r#"b: {"a", "c::d", "e::f"}"#, r#"c: {"a", "b"}"#]);
}

#[test]
fn a_path_that_does_not_exist_is_noticed() {
    let text =
        "`src/model` and `watch/run`, `src/attic.rs`, `watch/attic`, `/livez`, `src/cli/NAME.rs`\n```\n`a/b`\n```\n";
    assert_eq!(missing_paths(&quoted(text)), ["src/attic.rs", "watch/attic"]);
}
