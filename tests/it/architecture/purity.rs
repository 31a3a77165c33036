//! Pure files have no clock, no waiting, no randomness and no IO; steps may use a seeded generator and the log.

use super::scan::code_of;
use super::{read, rust_files_under};

/// Files and folders that only decide: `now` and random numbers are arguments, and callers do the IO.
const PURE: &[&str] = &[
    "src/heartbeat/watchdog.rs",
    "src/meet/quota/priority_queue.rs",
    "src/model",
    "src/systemd/summary.rs",
    "src/quota_bucket.rs",
    "src/token_bucket.rs",
    "src/watch/budget.rs",
    "src/watch/closing.rs",
    "src/watch/gap.rs",
    "src/watch/lookup.rs",
    "src/watch/persist.rs",
    "src/watch/roster",
    "src/watch/clock_skew.rs",
    "src/watch/stretch.rs",
    "src/watch/wish.rs",
];

/// Files and folders with steps: as pure, except that they draw from the seeded generator they are given, and may log
/// and count.
const STEPS: &[&str] = &[
    "src/watch/plan.rs",
    "src/watch/scheduler",
    "src/watch/target",
    "src/watch/conference",
    "src/delivery/breaker.rs",
    "src/delivery/decide.rs",
    "src/delivery/endpoint_health.rs",
    "src/delivery/fault.rs",
    "src/delivery/pace.rs",
    "src/delivery/pace",
    "src/delivery/queue.rs",
    "src/delivery/ready.rs",
    "src/delivery/step.rs",
    "src/delivery/told.rs",
];

/// Words that show that a result does not depend on the arguments alone.
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

/// The files under `path`, without those that hold only tests: a test may draw numbers and wait.
fn product_files_under(path: &str) -> Vec<String> {
    rust_files_under(path).into_iter().filter(|file| !file.ends_with("/tests.rs")).collect()
}

/// The words of [`IMPURE`] in the code of `text`.
fn impurities(text: &str) -> Vec<&'static str> {
    let code = code_of(text);
    let continues = |rest: &str| rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    // `.await` is distinguished from a method whose name begins with it; the other words match as prefixes.
    let is_in =
        |word: &str| code.match_indices(word).any(|(at, _)| word != ".await" || !continues(&code[at + word.len()..]));
    IMPURE.iter().copied().filter(|word| is_in(word)).collect()
}

#[test]
fn a_pure_file_has_no_clock_no_waiting_no_randomness_and_no_io() {
    for pure in PURE {
        let files = product_files_under(pure);
        assert!(!files.is_empty(), "{pure} does not exist: remove it from PURE or name its new place");
        for file in files {
            let found = impurities(&read(&file));
            assert!(found.is_empty(), "{file}: {found:?}");
        }
    }
}

#[test]
fn a_step_has_no_clock_no_waiting_and_no_io() {
    for step in STEPS {
        let files = product_files_under(step);
        assert!(!files.is_empty(), "{step} does not exist: remove it from STEPS or name its new place");
        for file in files {
            let found: Vec<_> =
                impurities(&read(&file)).into_iter().filter(|word| !matches!(*word, "Random" | "tracing")).collect();
            assert!(found.is_empty(), "{file}: {found:?}");
        }
    }
}

#[test]
fn impurity_is_noticed_in_code_but_not_in_comments_or_string_literals() {
    assert_eq!(impurities("let x = read(f).await;"), [".await"]);
    assert_eq!(impurities("let x = a.awaits(b) + read(f).await?;"), [".await"]);
    assert!(impurities("let x = a.awaits(b);").is_empty());
    assert_eq!(impurities("let n = jiff::Timestamp::now();"), ["::now("]);
    assert!(impurities("// never .await here\nlet x = \"std::fs\";").is_empty());
    assert!(impurities("#[cfg(test)]\nmod tests { use std::fs; }").is_empty());
}
