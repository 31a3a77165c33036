//! Every public item has a user.
//!
//! The top-level modules are public so that tests and benchmarks can use them, and the compiler does not report unused
//! public items. Here an item counts as used where its name stands in code outside of tests, in a position that fits
//! its kind. That misses a dead item that shares its name with a used one, and reports nothing that is used.

use std::collections::BTreeSet;

use super::items::{Item, SourceFile, items_in, source_files};
use super::scan::{code_of, tokens};
use super::{read, rust_files_under};

/// A public item that only `tests/` or `benches/` use, and why it is there.
struct ForTests {
    file: &'static str,
    item: &'static str,
    reason: &'static str,
}

const FOR_TESTS: &[ForTests] = &[
    ForTests {
        file: "src/verify/lateness/figures.rs",
        item: "fn mean",
        reason: "A bench prints how late events are, and a test holds it against a naive poller.",
    },
    ForTests {
        file: "src/verify/lateness/figures.rs",
        item: "fn quantile",
        reason: "A bench prints how late events are, and a test holds it against a naive poller.",
    },
    ForTests {
        file: "src/verify/lateness/figures.rs",
        item: "fn naive",
        reason: "A bench prints how late events are, and a test holds it against a naive poller.",
    },
    ForTests {
        file: "src/verify/lateness/figures.rs",
        item: "fn bound",
        reason: "A bench prints how late events are, and a test holds it against a naive poller.",
    },
    ForTests {
        file: "src/verify/lateness.rs",
        item: "fn of_a_project",
        reason: "A bench prints how late events are, and a test holds it against a naive poller.",
    },
    ForTests {
        file: "src/sim/api/mod.rs",
        item: "fn tally",
        reason: "Tests wait until the daemon has made its reads and count them.",
    },
    ForTests {
        file: "src/sim/api/mod.rs",
        item: "fn issue_token",
        reason: "Tests start with a token that no sign-in issued.",
    },
    ForTests {
        file: "src/sim/api/mod.rs",
        item: "fn revoke_tokens",
        reason: "Tests revoke a consent while the daemon runs.",
    },
    ForTests {
        file: "src/sim/receiver.rs",
        item: "fn behave",
        reason: "Tests change the answers of a receiver while deliveries arrive.",
    },
];

/// How an item of a name can be used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    /// `.name(`, or `::name`.
    Associated,
    /// `name(`, `::name`, an import, or an argument.
    Function,
    /// The name anywhere but in the header of an `impl`.
    Word,
}

impl Use {
    fn of(item: &Item) -> Self {
        match (item.kind.as_str(), item.is_associated) {
            ("fn" | "const" | "type", true) => Self::Associated,
            ("fn", false) => Self::Function,
            _ => Self::Word,
        }
    }
}

/// What the words of a file use.
fn uses_in(code: &str) -> BTreeSet<(Use, String)> {
    let words = tokens(code);
    let defined: BTreeSet<usize> = items_in(code).into_iter().map(|item| item.at).collect();
    let hidden = hidden_words(&words);
    let mut uses = BTreeSet::new();
    for (at, word) in words.iter().enumerate() {
        if defined.contains(&at) || hidden[at] || !word.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            continue;
        }
        let before = at.checked_sub(1).map_or("", |before| words[before]);
        let after = words.get(at + 1).copied().unwrap_or_default();
        let is_called = matches!(after, "(" | "::");
        if before == "::" || before == "." && is_called {
            uses.insert((Use::Associated, (*word).to_owned()));
        }
        let is_argument = matches!(before, "(" | "," | "=" | "{") && matches!(after, ")" | "," | ";" | "}" | "]");
        if before != "." && before != "fn" && (before == "::" || is_called || is_argument) {
            uses.insert((Use::Function, (*word).to_owned()));
        }
        uses.insert((Use::Word, (*word).to_owned()));
    }
    uses
}

/// Which words are part of a re-export or of the header of an `impl`.
fn hidden_words(words: &[&str]) -> Vec<bool> {
    let mut hidden = vec![false; words.len()];
    let mut until: Option<&[&str]> = None;
    for (at, word) in words.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", |before| words[before]);
        match (*word, until) {
            ("use", None) if matches!(before, "pub") => until = Some(&[";"]),
            ("impl", None) if matches!(before, "" | "}" | ";" | "]" | "{") => until = Some(&["{"]),
            (_, Some(ends)) if ends.contains(word) => until = None,
            _ => {}
        }
        hidden[at] = until.is_some();
    }
    hidden
}

/// Each public item of `files` that nothing in them uses: its file, and its kind and name.
fn unused(files: &[SourceFile]) -> Vec<(String, String)> {
    let mut users: BTreeSet<(Use, String)> = BTreeSet::new();
    for file in files {
        users.extend(uses_in(&file.code));
    }
    let mut found = Vec::new();
    for file in files {
        let public = items_in(&file.code).into_iter().filter(|item| item.is_public && item.kind != "mod");
        for item in public.filter(|item| !users.contains(&(Use::of(item), item.name.clone()))) {
            found.push((file.path.clone(), format!("{} {}", item.kind, item.name)));
        }
    }
    found
}

#[test]
fn every_public_item_has_a_user() {
    let is_listed = |file: &str, item: &str| FOR_TESTS.iter().any(|listed| listed.file == file && listed.item == item);
    let mut found = unused(&source_files());
    found.retain(|(file, item)| !is_listed(file, item));
    assert!(found.is_empty(), "delete these, restrict them, or add them to FOR_TESTS with a reason: {found:#?}");
}

#[test]
fn what_is_listed_as_for_tests_is_used_by_tests_alone() {
    let found = unused(&source_files());
    let mut users = BTreeSet::new();
    for file in rust_files_under("tests").iter().chain(&rust_files_under("benches")) {
        users.extend(uses_in(&code_of(&read(file))));
    }
    for ForTests { file, item, reason } in FOR_TESTS {
        assert!(!reason.is_empty());
        let is_unused = found.iter().any(|(path, name)| path == file && name == item);
        assert!(is_unused, "{file}: {item} has a user or is gone: remove it from FOR_TESTS");
        let name = item.rsplit(' ').next().unwrap_or_default().to_owned();
        assert!(users.contains(&(Use::Word, name)), "{file}: {item} is used by no test: delete it");
    }
}

#[test]
fn a_dead_item_is_noticed() {
    let dead = |code: &str| {
        let files = [SourceFile::new("src/store/a.rs", code), SourceFile::new("src/store/mod.rs", "pub use a::Row;")];
        unused(&files).into_iter().map(|(_, item)| item).collect::<Vec<_>>()
    };
    assert_eq!(
        dead("pub struct Row; impl Row { pub fn parse() {} } impl Clone for Row {}"),
        ["struct Row", "fn parse"]
    );
    assert_eq!(dead("pub fn length() {} fn f(length: u8) { let length = a.length; a.length(); }"), ["fn length"]);
    assert_eq!(dead("pub const MAX: u8 = 1;\n#[cfg(test)]\nmod tests { use super::MAX; }"), ["const MAX"]);
    assert_eq!(dead("impl A { pub fn is_told(&self) {} } fn f(is_told: bool) { is_told() }"), ["fn is_told"]);
    assert_eq!(dead("pub type Rows = u8; pub trait Read {} // Rows, Read"), ["type Rows", "trait Read"]);
    assert_eq!(dead("pub struct Row; fn f(row: Row) {}"), [""; 0]);
    assert_eq!(dead("pub fn length() {} fn f() { map(length); }"), [""; 0]);
    assert_eq!(dead("impl A { pub fn parse() {} } fn f() { a.parse(); }"), [""; 0]);
    assert_eq!(dead("impl A { pub fn parse() {} } fn f() { map(A::parse) }"), [""; 0]);
    assert_eq!(dead("pub(crate) fn f() {}"), [""; 0], "the compiler reports this one");
}
