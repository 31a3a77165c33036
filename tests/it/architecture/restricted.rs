//! Names that only part of the tree may use: SQLite below the store's contract, HTTP below the delivery policy.

use super::items::{SourceFile, source_files};
use super::scan::tokens;

/// Words that stand in no file but those of some folders.
struct Restricted {
    words: &'static [&'static str],
    /// The files that are checked: folders end in `/`.
    checked: &'static str,
    /// Below `checked`, where the words are allowed: folders end in `/`.
    allowed: &'static [&'static str],
}

const RESTRICTED: &[Restricted] = &[
    Restricted { words: &["rusqlite"], checked: "src/", allowed: &["src/store/sqlite/"] },
    Restricted {
        words: &["sqlite"],
        checked: "src/store/",
        allowed: &[
            "src/store/handle/",
            "src/store/mod.rs",
            "src/store/readers.rs",
            "src/store/sqlite/",
            "src/store/writer.rs",
        ],
    },
    Restricted {
        words: &["reqwest", "hyper", "StatusCode", "status_code"],
        checked: "src/delivery/",
        allowed: &["src/delivery/http/"],
    },
    // The module, as in `super::http::send`: policy and formats do not know the transport, these files connect them.
    Restricted {
        words: &["http"],
        checked: "src/delivery/",
        allowed: &[
            "src/delivery/dispatch.rs",
            "src/delivery/endpoint_test.rs",
            "src/delivery/mod.rs",
            "src/delivery/reconfigure.rs",
            "src/delivery/settings.rs",
        ],
    },
];

fn is_in(file: &SourceFile, place: &str) -> bool {
    if place.ends_with('/') { file.path.starts_with(place) } else { file.path == place }
}

fn forbidden_words(file: &SourceFile) -> Vec<String> {
    let allows = |rule: &Restricted| rule.allowed.iter().any(|place| is_in(file, place));
    let rules = RESTRICTED.iter().filter(|rule| is_in(file, rule.checked) && !allows(rule));
    let words = tokens(&file.code);
    let named = |word: &&&str| words.contains(*word);
    rules.flat_map(|rule| rule.words.iter().filter(named).map(|word| format!("{}: {word}", file.path))).collect()
}

#[test]
fn sqlite_and_http_are_named_only_where_they_are_implemented() {
    let found: Vec<String> = source_files().iter().flat_map(forbidden_words).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_place_that_may_use_a_restricted_name_uses_it() {
    let files = source_files();
    for rule in RESTRICTED {
        for place in rule.allowed {
            let names = |file: &&SourceFile| tokens(&file.code).iter().any(|word| rule.words.contains(word));
            let found = files.iter().filter(|file| is_in(file, place)).find(names);
            assert!(found.is_some(), "{place} names none of {:?}: remove it from RESTRICTED", rule.words);
        }
    }
}

#[test]
fn a_restricted_name_in_another_file_is_noticed() {
    let offends = |path: &str, code: &str| !forbidden_words(&SourceFile::new(path, code)).is_empty();
    assert!(offends("src/store/rows.rs", "use rusqlite::Row;"));
    assert!(offends("src/serve/api.rs", "fn f(c: &rusqlite::Connection) {}"));
    assert!(offends("src/delivery/decide.rs", "use reqwest::StatusCode;"));
    assert!(offends("src/delivery/step/claims.rs", "fn f(s: StatusCode) {}"));
    assert!(!offends("src/store/sqlite/claim/lanes.rs", "use rusqlite::Row;"));
    assert!(!offends("src/delivery/http/send.rs", "use reqwest::StatusCode;"));
    assert!(offends("src/delivery/dispatch.rs", "use reqwest::Client;"));
    assert!(offends("src/delivery/breaker.rs", "use super::http::answer;"));
    assert!(offends("src/delivery/format/chat.rs", "use crate::delivery::http::Url;"));
    assert!(!offends("src/delivery/dispatch.rs", "use super::http::send::SenderError; // reqwest"));
    assert!(offends("src/store/collector.rs", "use super::sqlite::StoreReader;"));
    assert!(!offends("src/store/handle/reads.rs", "use crate::store::sqlite::StoreReader;"));
    assert!(!offends("src/store/error.rs", "const R: &str = \"sqlite\"; // sqlite"));
    assert!(!offends("src/serve/api.rs", "use hyper::StatusCode;"));
    assert!(!offends("src/store/rows.rs", "// As rusqlite::Row."));
}
