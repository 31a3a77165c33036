//! Pure files have no clock, no waiting, no randomness and no IO; steps may use a seeded generator and the log.

use super::scan::code_of;
use super::{read, rust_files_under};

/// Files and folders that only decide: `now` and random numbers are arguments, and callers do the IO.
const PURE: &[&str] = &[
    "src/cli/time.rs",
    "src/delivery/breaker.rs",
    "src/delivery/decide.rs",
    "src/delivery/endpoint_health.rs",
    "src/delivery/fault.rs",
    "src/delivery/http/answer_patterns.rs",
    "src/delivery/pace.rs",
    "src/delivery/pace",
    "src/delivery/redact.rs",
    "src/heartbeat/watchdog.rs",
    "src/meet/quota/priority_queue.rs",
    "src/model",
    "src/retry_after.rs",
    "src/store/clock_check.rs",
    "src/store/outage_log.rs",
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
    "src/meet/retry.rs",
    "src/watch/plan.rs",
    "src/watch/scheduler",
    "src/watch/target",
    "src/watch/conference",
    "src/delivery/queue.rs",
    "src/delivery/ready.rs",
    "src/delivery/step.rs",
    "src/delivery/told.rs",
];

/// A file or folder whose header says that it is pure, and that is not in [`PURE`].
struct Exception {
    place: &'static str,
    reason: &'static str,
}

const EXCEPTIONS: &[Exception] = &[
    Exception { place: "src/watch/plan.rs", reason: "A step: its header is still to say so." },
    Exception { place: "src/watch/target", reason: "Steps: their headers are still to say so." },
    Exception { place: "src/watch/conference", reason: "Steps: their headers are still to say so." },
    Exception { place: "src/meet/auth/consent.rs", reason: "Pure but for one request, as its header says." },
    Exception { place: "src/sim/world", reason: "Seeded, and no part of the daemon." },
    Exception { place: "src/sim/faults/mod.rs", reason: "Seeded, with counters, and no part of the daemon." },
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
    rust_files_under(path)
        .into_iter()
        .filter(|file| !file.ends_with("/tests.rs") && !file.contains("/tests/"))
        .collect()
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

/// What the header of a file, the `//!` lines at its top, says that it is.
#[derive(Debug, PartialEq, Eq)]
enum Claim {
    Pure,
    Step,
}

fn claim_of(text: &str) -> Option<Claim> {
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    let header = lines.collect::<Vec<_>>().join(" ").replace("  ", " ");
    let says = |claim: &str| {
        let ends = |at: usize| !header[at + claim.len()..].starts_with(char::is_alphabetic);
        header.match_indices(claim).any(|(at, _)| ends(at))
    };
    if header.trim_start().starts_with("Step:") {
        return Some(Claim::Step);
    }
    ["Pure", "is pure", "pure function", "pure state machine"].into_iter().any(says).then_some(Claim::Pure)
}

/// Whether the file is one of `places`, or in one.
fn is_in(file: &str, mut places: impl Iterator<Item = &'static str>) -> bool {
    let inside = |rest: &str| rest.is_empty() || rest.starts_with('/');
    places.any(|place| file.strip_prefix(place).is_some_and(inside))
}

/// The files that say that they are pure, or steps, and are not listed as such.
fn unlisted<'f>(files: impl Iterator<Item = (&'f str, &'f str)>) -> Vec<String> {
    let is_listed = |file: &str, claim: &Claim| match claim {
        Claim::Pure => is_in(file, PURE.iter().copied()) || is_in(file, EXCEPTIONS.iter().map(|one| one.place)),
        Claim::Step => is_in(file, STEPS.iter().copied()),
    };
    let claims = files.filter_map(|(file, text)| Some((file, claim_of(text)?)));
    claims.filter(|(file, claim)| !is_listed(file, claim)).map(|(file, claim)| format!("{file}: {claim:?}")).collect()
}

#[test]
fn a_file_that_says_it_is_pure_or_a_step_is_held_to_it() {
    let texts: Vec<(String, String)> = rust_files_under("src").into_iter().map(|f| (f.clone(), read(&f))).collect();
    let found = unlisted(texts.iter().map(|(file, text)| (file.as_str(), text.as_str())));
    assert!(found.is_empty(), "add these to PURE or STEPS, or change their header: {found:#?}");
}

#[test]
fn every_exception_has_a_reason_and_a_file_that_says_it_is_pure() {
    for Exception { place, reason } in EXCEPTIONS {
        assert!(!reason.is_empty());
        let says = rust_files_under(place).iter().any(|file| claim_of(&read(file)) == Some(Claim::Pure));
        assert!(says, "{place} does not say that it is pure: remove it from EXCEPTIONS");
    }
}

#[test]
fn a_claim_in_the_header_is_noticed() {
    let found = |file: &str, text: &str| unlisted([(file, text)].into_iter());
    assert_eq!(found("src/meet/a.rs", "//! Pure: who is there.\n"), ["src/meet/a.rs: Pure"]);
    assert_eq!(found("src/meet/a.rs", "//! Reads dates. Pure.\n"), ["src/meet/a.rs: Pure"]);
    assert_eq!(found("src/meet/a.rs", "//! Decides: a pure\n//! function of time.\n"), ["src/meet/a.rs: Pure"]);
    assert_eq!(found("src/meet/a.rs", "//! Step: what is next.\n"), ["src/meet/a.rs: Step"]);
    assert_eq!(found("src/token_bucket.rs", "//! Step: what is next.\n"), ["src/token_bucket.rs: Step"]);
    for (file, text) in [
        ("src/model/event.rs", "//! Pure: an event.\n"),
        ("src/delivery/step.rs", "//! Step: the core.\n"),
        ("src/watch/target/mod.rs", "//! Pure: a target.\n"),
        ("src/meet/a.rs", "//! Purely a client. `b` and `c` are pure and take the time.\n"),
        ("src/meet/a.rs", "//! A client.\n\n/// Pure.\nfn f() {}"),
    ] {
        assert_eq!(found(file, text), [""; 0], "{file}: {text}");
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
