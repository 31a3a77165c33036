//! No import circle between the files of a top-level module.
//!
//! An edge leads from a file to the file that defines what it names: `use` paths and inline paths are resolved, and a
//! re-export is followed to the definition. A file that only declares and re-exports defines nothing and has no edges
//! to it. A circle is a strongly connected component: a set of files each of which reaches all others.

use std::collections::{BTreeMap, BTreeSet};

use super::items::{Import, SourceFile, imports_in, items_in, source_files};
use super::scan::tokens;

const CHECKED: &[&str] = &["delivery", "meet", "model", "serve", "store", "watch"];

/// Files that may import each other: an edge between two files that begin with one of `files` each does not count.
struct Exception {
    files: &'static [&'static str],
    reason: &'static str,
}

const EXCEPTIONS: &[Exception] = &[
    Exception {
        files: &["src/watch/roster/"],
        reason: "One state machine over several files: each is an `impl` of the roster's types.",
    },
    Exception {
        files: &["src/watch/scheduler/mod.rs", "src/watch/scheduler/reconfigure.rs"],
        reason: "Reconfiguration is an `impl` of the scheduler, and one of its inputs.",
    },
];

/// How many re-exports in a row are followed.
const MAX_RE_EXPORTS: usize = 4;

/// The files of one top-level module, and what each defines and imports.
struct Graph<'f> {
    files: Vec<&'f SourceFile>,
    by_module: BTreeMap<&'f [String], usize>,
    defined: Vec<BTreeSet<String>>,
    imports: Vec<Vec<Import>>,
}

impl<'f> Graph<'f> {
    fn of(top: &str, files: &'f [SourceFile]) -> Self {
        let files: Vec<&SourceFile> = files.iter().filter(|file| file.module[0] == top).collect();
        let names = |file: &&SourceFile| {
            let items = items_in(&file.code).into_iter();
            items.filter(|item| item.kind != "mod" && !item.is_associated).map(|item| item.name).collect()
        };
        Self {
            by_module: files.iter().enumerate().map(|(at, file)| (file.module.as_slice(), at)).collect(),
            defined: files.iter().map(names).collect(),
            imports: files.iter().map(|file| imports_in(&file.code)).collect(),
            files,
        }
    }

    /// The segments of a path from the root of the crate, as named in file `from`.
    fn absolute(&self, from: usize, path: &[String]) -> Vec<String> {
        let mut base = self.files[from].module.clone();
        let mut rest = path;
        match path.first().map(String::as_str) {
            Some("crate") => (base, rest) = (Vec::new(), &path[1..]),
            Some("self") => rest = &path[1..],
            _ => {}
        }
        while let [first, after @ ..] = rest
            && first == "super"
        {
            base.pop();
            rest = after;
        }
        base.extend_from_slice(rest);
        base
    }

    /// The file that defines what an absolute path names. `depth` bounds how many re-exports are followed.
    fn definition(&self, path: &[String], depth: usize) -> Option<usize> {
        let longest = (1..=path.len()).rev().find(|length| self.by_module.contains_key(&path[..*length]))?;
        let file = self.by_module[&path[..longest]];
        let Some(name) = path.get(longest) else {
            // The module itself: what is used of it is seen where it is used.
            return None;
        };
        if self.defined[file].contains(name) || depth == 0 {
            return Some(file);
        }
        let through = |import: &&Import| import.name == *name || import.name == "*";
        let followed = self.imports[file].iter().filter(through).find_map(|import| {
            let mut path = self.absolute(file, &import.path);
            if import.name == "*" {
                path.push(name.clone());
            }
            self.definition(&path, depth - 1)
        });
        // What nothing declares by name, such as what a macro makes, is the file's own.
        followed.or_else(|| (!self.defined[file].is_empty()).then_some(file))
    }

    /// The files whose items file `from` names.
    fn used_by(&self, from: usize) -> BTreeSet<usize> {
        let imports = &self.imports[from];
        let mut paths: Vec<Vec<String>> = imports.iter().map(|import| self.absolute(from, &import.path)).collect();
        for path in inline_paths(&self.files[from].code) {
            let imported = imports.iter().find(|import| import.name == path[0]);
            let mut absolute = imported.map_or_else(Vec::new, |import| self.absolute(from, &import.path));
            if imported.is_some() {
                absolute.extend_from_slice(&path[1..]);
            } else {
                absolute = self.absolute(from, &path);
            }
            paths.push(absolute);
        }
        // What a glob import uses is not looked for: it counts as a use of the whole file.
        let globs = imports.iter().filter(|import| import.name == "*").map(|import| self.absolute(from, &import.path));
        let whole: Vec<usize> = globs.filter_map(|path| self.by_module.get(path.as_slice()).copied()).collect();
        let named = paths.iter().filter_map(|path| self.definition(path, MAX_RE_EXPORTS));
        let used = named.chain(whole.into_iter().filter(|to| !self.defined[*to].is_empty()));
        used.filter(|to| *to != from).collect()
    }

    fn is_exempt(&self, from: usize, to: usize) -> bool {
        EXCEPTIONS.iter().any(|exception| {
            let covers = |at: usize| exception.files.iter().any(|file| self.files[at].path.starts_with(file));
            covers(from) && covers(to)
        })
    }

    /// Each circle, as the edges inside it.
    fn circles(&self) -> Vec<String> {
        let edges: Vec<BTreeSet<usize>> = (0..self.files.len())
            .map(|from| self.used_by(from).into_iter().filter(|to| !self.is_exempt(from, *to)).collect())
            .collect();
        let reached: Vec<BTreeSet<usize>> = (0..edges.len()).map(|from| reachable(from, &edges)).collect();
        let mut seen = BTreeSet::new();
        let mut circles = Vec::new();
        for at in 0..edges.len() {
            let circle: BTreeSet<usize> =
                reached[at].iter().copied().filter(|other| reached[*other].contains(&at)).collect();
            if circle.is_empty() || !seen.insert(circle.clone()) {
                continue;
            }
            let name = |at: &usize| self.files[*at].path.trim_start_matches("src/");
            let lines = circle.iter().map(|from| {
                let to: Vec<&str> = edges[*from].intersection(&circle).map(name).collect();
                format!("{} -> {}", name(from), to.join(", "))
            });
            circles.push(lines.collect::<Vec<_>>().join("\n"));
        }
        circles
    }
}

fn reachable(from: usize, edges: &[BTreeSet<usize>]) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        open.extend(edges[at].iter().filter(|to| found.insert(**to)));
    }
    found
}

/// Every path of two segments or more outside of `use` declarations.
fn inline_paths(code: &str) -> Vec<Vec<String>> {
    let words = tokens(code);
    let is_name = |word: &str| word.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let (mut paths, mut at, mut in_use) = (Vec::new(), 0, false);
    while at < words.len() {
        let from = at;
        at += 1;
        match words[from] {
            "use" => in_use = true,
            ";" => in_use = false,
            word if is_name(word) && !in_use => {
                while words.get(at) == Some(&"::") && words.get(at + 1).is_some_and(|next| is_name(next)) {
                    at += 2;
                }
                if at > from + 1 {
                    paths.push(
                        words[from..at].iter().filter(|word| **word != "::").map(|word| (*word).into()).collect(),
                    );
                }
            }
            _ => {}
        }
    }
    paths
}

fn circles_in(top: &str, files: &[SourceFile]) -> Vec<String> {
    Graph::of(top, files).circles()
}

#[test]
fn no_files_of_a_module_import_each_other_in_a_circle() {
    let files = source_files();
    let found: Vec<String> = CHECKED.iter().flat_map(|top| circles_in(top, &files)).collect();
    assert!(found.is_empty(), "{} circle(s):\n\n{}\n", found.len(), found.join("\n\n"));
}

#[test]
fn every_exception_has_a_reason_and_exists() {
    for exception in EXCEPTIONS {
        assert!(!exception.reason.is_empty());
        for file in exception.files {
            assert!(!super::files_under(file).is_empty(), "{file} does not exist: remove it from EXCEPTIONS");
        }
    }
}

#[test]
fn a_circle_is_noticed_also_through_a_re_export() {
    let circles = |files: &[(&str, &str)]| {
        let files: Vec<SourceFile> = files.iter().map(|(path, code)| SourceFile::new(path, code)).collect();
        circles_in("store", &files)
    };
    let (a, b) = ("src/store/a.rs", "src/store/b.rs");
    let both = ["store/a.rs -> store/b.rs\nstore/b.rs -> store/a.rs"];
    assert_eq!(circles(&[(a, "use super::b::B; pub struct A;"), (b, "struct B(super::a::A);")]), both);
    let facade = ("src/store/mod.rs", "mod a; mod b; pub use a::A; pub use b::{B as C};");
    assert_eq!(circles(&[facade, (a, "use super::C; struct A;"), (b, "use crate::store::A; struct B;")]), both);
    assert_eq!(circles(&[(a, "use super::b; struct A(b::B);"), (b, "use super::a::*; struct B(A);")]), both);
    let parent = ("src/store/mod.rs", "mod a; use a::A; pub struct Parent(A);");
    assert_eq!(circles(&[parent, (a, "use super::Parent; struct A;")]).len(), 1);
    assert_eq!(circles(&[parent, (a, "fn f() -> super::Parent { todo!() } struct A;")]).len(), 1);
}

#[test]
fn a_tree_of_imports_is_no_circle() {
    let files = [
        SourceFile::new("src/store/mod.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
        SourceFile::new(
            "src/store/a.rs",
            "use super::B; pub struct A; #[cfg(test)]\nmod tests { use super::super::C; }",
        ),
        SourceFile::new("src/store/b.rs", "pub struct B; /* super::a::A */"),
        SourceFile::new("src/store/c.rs", "pub struct C(super::A); use crate::watch::A;"),
    ];
    assert_eq!(circles_in("store", &files), Vec::<String>::new());
}
