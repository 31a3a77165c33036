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
        words: &["reqwest", "hyper", "StatusCode", "status_code"],
        checked: "src/delivery/",
        allowed: &["src/delivery/dispatch.rs", "src/delivery/format/", "src/delivery/http/"],
    },
];

fn forbidden_words(file: &SourceFile) -> Vec<String> {
    let is_in =
        |place: &&&str| if place.ends_with('/') { file.path.starts_with(**place) } else { file.path == **place };
    let rules =
        RESTRICTED.iter().filter(|rule| is_in(&&rule.checked) && !rule.allowed.iter().any(|place| is_in(&place)));
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
fn a_restricted_name_in_another_file_is_noticed() {
    let offends = |path: &str, code: &str| !forbidden_words(&SourceFile::new(path, code)).is_empty();
    assert!(offends("src/store/rows.rs", "use rusqlite::Row;"));
    assert!(offends("src/serve/api.rs", "fn f(c: &rusqlite::Connection) {}"));
    assert!(offends("src/delivery/decide.rs", "use reqwest::StatusCode;"));
    assert!(offends("src/delivery/step/claims.rs", "fn f(s: StatusCode) {}"));
    assert!(!offends("src/store/sqlite/claim/lanes.rs", "use rusqlite::Row;"));
    assert!(!offends("src/delivery/http/send.rs", "use reqwest::StatusCode;"));
    assert!(!offends("src/delivery/dispatch.rs", "use reqwest::Client;"));
    assert!(!offends("src/serve/api.rs", "use hyper::StatusCode;"));
    assert!(!offends("src/store/rows.rs", "// As rusqlite::Row."));
}
