//! What is pure has no clock, no waiting, no chance and no IO; a step has chance and a log besides.

use super::scan::code_of;
use super::{PURE, STEPS, read, rust_files_under};

/// What decides nothing from its arguments alone.
const IMPURE: &[&str] = &[
    ".await",
    "async ",
    "::now(",
    "fastrand",
    "getrandom",
    "Random",
    "tokio",
    "tracing",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "SystemTime",
    "Mutex",
    "RwLock",
    "Atomic",
];

fn impurities(text: &str) -> Vec<&'static str> {
    let code = code_of(text);
    let goes_on = |rest: &str| rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    // `.await` alone is told from a method whose name begins so; the others may well go on.
    let is_in =
        |word: &str| code.match_indices(word).any(|(at, _)| word != ".await" || !goes_on(&code[at + word.len()..]));
    IMPURE.iter().copied().filter(|word| is_in(word)).collect()
}

#[test]
fn a_pure_file_has_no_clock_no_waiting_no_chance_and_no_io() {
    for pure in PURE {
        let files = rust_files_under(pure);
        assert!(!files.is_empty(), "{pure} is gone: take it off the list, or say where it went");
        for file in files {
            let found = impurities(&read(&file));
            assert!(found.is_empty(), "{file}: {found:?}");
        }
    }
}

#[test]
fn a_step_has_no_clock_no_waiting_and_no_io() {
    for step in STEPS {
        let files = rust_files_under(step);
        assert!(!files.is_empty(), "{step} is gone: take it off the list, or say where it went");
        for file in files {
            let found: Vec<_> =
                impurities(&read(&file)).into_iter().filter(|word| !matches!(*word, "Random" | "tracing")).collect();
            assert!(found.is_empty(), "{file}: {found:?}");
        }
    }
}

#[test]
fn impurity_is_seen_in_code_and_not_in_comments_or_texts() {
    assert_eq!(impurities("let x = read(f).await;"), [".await"]);
    assert_eq!(impurities("let x = a.awaits(b) + read(f).await?;"), [".await"]);
    assert!(impurities("let x = a.awaits(b);").is_empty());
    assert_eq!(impurities("let n = jiff::Timestamp::now();"), ["::now("]);
    assert!(impurities("// never .await here\nlet x = \"std::fs\";").is_empty());
    assert!(impurities("#[cfg(test)]\nmod tests { use std::fs; }").is_empty());
}
