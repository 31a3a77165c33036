//! What the repository holds at its top, and what no file in it may name.

use std::fs;

use super::{files_under, root};

/// The entries of the repository's top folder, besides dotfiles.
const TOP: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "deploy",
    "docs",
    "src",
    "systemd",
    "target",
    "tests",
];

#[test]
fn the_top_folder_holds_only_what_is_listed() {
    let entries = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let unknown: Vec<String> = entries.filter(|name| !name.starts_with('.') && !TOP.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "not in TOP: {unknown:?}");
}

#[test]
fn no_file_names_a_package_registry_or_the_folder_it_was_written_in() {
    // Assembled here, so that this file does not contain the names itself.
    let dotted = |parts: &[&str]| parts.join(".");
    let forbidden = [
        dotted(&["crates", "io"]),
        dotted(&["pypi", "org"]),
        dotted(&["pythonhosted", "org"]),
        dotted(&["npmjs", "org"]),
        dotted(&["deb", "debian", "org"]),
        dotted(&["golang", "org"]),
        format!("/{}/", "work"),
        format!("/{}/", "root"),
    ];
    let top = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // Cargo writes the registry's name into its own files; `.git` is not part of the tree.
    let listed = top.filter(|name| !["Cargo.lock", "target", ".git"].contains(&name.as_str()));
    for file in listed.flat_map(|name| files_under(&name)) {
        let Ok(text) = fs::read_to_string(root().join(&file)) else { continue };
        let found: Vec<&String> = forbidden.iter().filter(|word| text.contains(word.as_str())).collect();
        assert!(found.is_empty(), "{file}: {found:?}");
    }
}
