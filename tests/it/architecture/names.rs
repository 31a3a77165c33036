//! One type name means one thing, and a predicate only answers.

use std::collections::{BTreeMap, BTreeSet};

use super::items::{SourceFile, items_in, source_files};
use super::scan::tokens;

/// Type names of a file that other top-level modules may define as well, and why.
struct Exception {
    file: &'static str,
    names: &'static [&'static str],
    reason: &'static str,
}

const EXCEPTIONS: &[Exception] = &[
    Exception { file: "src/meet/wire.rs", names: GOOGLE, reason: "Google's resources as they are on the wire." },
    Exception { file: "src/meet/borrowed_wire.rs", names: GOOGLE, reason: "The same, borrowing from the response." },
];

/// The names of Google's resources.
const GOOGLE: &[&str] = &["Conference", "Participant", "Person", "Session", "Space"];

/// Each type name that more than one top-level module defines, with those modules.
fn names_in_several_modules(files: &[SourceFile]) -> Vec<String> {
    const TYPES: [&str; 4] = ["struct", "enum", "trait", "type"];
    let mut defined: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for file in files {
        let types = items_in(&file.code).into_iter().filter(|item| TYPES.contains(&item.kind.as_str()));
        for item in types.filter(|item| !item.is_associated) {
            let is_exempt =
                EXCEPTIONS.iter().any(|exempt| exempt.file == file.path && exempt.names.contains(&item.name.as_str()));
            if !is_exempt {
                defined.entry(item.name).or_default().insert(&file.module[0]);
            }
        }
    }
    defined.retain(|_, modules| modules.len() > 1);
    defined.into_iter().map(|(name, modules)| format!("{name}: {}", Vec::from_iter(modules).join(", "))).collect()
}

/// Each function named `is_…` or `has_…` that takes `&mut self`, or takes `self` and returns nothing.
fn predicates_that_act(file: &SourceFile) -> Vec<String> {
    let words = tokens(&file.code);
    let named = words
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| pair[0] == "fn" && (pair[1].starts_with("is_") || pair[1].starts_with("has_")));
    let mut found = Vec::new();
    for (at, pair) in named {
        let signature = signature(&words[at..]);
        let open = signature.iter().position(|word| *word == "(").unwrap_or_default();
        let receiver: Vec<&str> =
            signature[open..].iter().copied().skip(1).take_while(|word| !matches!(*word, "," | ")" | ":")).collect();
        let returns = signature.windows(2).any(|arrow| arrow == ["-", ">"]);
        if receiver.ends_with(&["mut", "self"]) && receiver.starts_with(&["&"]) {
            found.push(format!("{}: {} takes &mut self", file.path, pair[1]));
        } else if receiver.ends_with(&["self"]) && !returns {
            found.push(format!("{}: {} returns nothing", file.path, pair[1]));
        }
    }
    found
}

/// The words up to the body of a function, or up to the `;` that stands for one; a `;` inside brackets, as in `[u8; 32]`,
/// ends nothing.
fn signature<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let mut depth = 0_usize;
    let inside = |word: &&&str| {
        match **word {
            "[" | "(" => depth += 1,
            "]" | ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > 0 || !matches!(**word, "{" | ";")
    };
    words.iter().take_while(inside).copied().collect()
}

#[test]
fn no_type_name_is_defined_in_two_top_level_modules() {
    let found = names_in_several_modules(&source_files());
    assert!(found.is_empty(), "rename one of each, or add it to EXCEPTIONS with a reason: {found:#?}");
}

#[test]
fn every_exception_has_a_reason() {
    assert!(EXCEPTIONS.iter().all(|exempt| !exempt.reason.is_empty() && !exempt.names.is_empty()));
}

#[test]
fn a_type_name_in_two_modules_is_noticed() {
    let file = SourceFile::new;
    let offends = |one: SourceFile, two: SourceFile| !names_in_several_modules(&[one, two]).is_empty();
    assert!(offends(file("src/store/a.rs", "struct Line;"), file("src/watch/b.rs", "pub enum Line {}")));
    assert!(offends(file("src/store/a.rs", "type Line = u8;"), file("src/watch/b.rs", "trait Line {}")));
    assert!(offends(file("src/meet/wire.rs", "struct Line;"), file("src/watch/b.rs", "struct Line;")));
    assert!(!offends(file("src/store/a.rs", "struct Line;"), file("src/store/b.rs", "struct Line;")));
    assert!(!offends(file("src/meet/wire.rs", "struct Space;"), file("src/model/b.rs", "struct Space;")));
    assert!(!offends(
        file("src/store/a.rs", "struct Line;"),
        file("src/watch/b.rs", "impl A for B { type Line = u8; }")
    ));
    assert!(!offends(
        file("src/store/a.rs", "struct Line;"),
        file("src/watch/b.rs", "#[cfg(test)]\nmod tests { struct Line; }")
    ));
}

#[test]
fn a_predicate_changes_nothing_and_returns_something() {
    let found: Vec<String> = source_files().iter().flat_map(predicates_that_act).collect();
    assert!(found.is_empty(), "a name that begins with is_ or has_ only answers: {found:#?}");
}

#[test]
fn a_predicate_that_acts_is_noticed() {
    let offends = |code: &str| !predicates_that_act(&SourceFile::new("src/store/a.rs", code)).is_empty();
    assert!(offends("impl A { fn is_busy(&self) { self.0.set(1); } }"));
    assert!(offends("impl A { pub(super) fn is_shown(&mut self) -> bool { true } }"));
    assert!(offends("impl A { fn has_left(&'a mut self, who: u8) {} }"));
    assert!(!offends("impl A { fn is_busy(&self) -> bool { true } fn note(&mut self) {} }"));
    assert!(!offends("fn is_busy<T>(a: &mut T) -> bool { true } fn has_left(self: &A) -> bool { true }"));
    assert!(!offends("impl A { fn is_known(&self, key: &[u8; 32]) -> bool { true } }"));
    assert!(offends("impl A { fn is_known(&self, key: &[u8; 32]) { self.0.set(1); } }"));
    assert!(!offends("impl A { fn is_const(mut self) -> Self { self } }"));
}
