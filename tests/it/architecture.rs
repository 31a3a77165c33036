//! Rules about the source tree that the compiler does not check.
//!
//! Each file below holds one rule, its list of exceptions and a test that a made-up violation is noticed. `scan` reads
//! Rust source just well enough for that; `items` finds the items of a file and the paths it uses.

mod bans;
mod circles;
mod dead_code;
mod directions;
mod items;
mod manual;
mod names;
mod purity;
mod restricted;
pub(crate) mod scan;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file under a folder, or the file itself, with paths relative to the repository.
fn files_under(path: &str) -> Vec<String> {
    let absolute = root().join(path);
    if absolute.is_file() {
        return vec![path.to_owned()];
    }
    let Ok(entries) = fs::read_dir(absolute) else { return Vec::new() };
    let mut names: Vec<PathBuf> = entries.map(|entry| entry.unwrap().file_name().into()).collect();
    names.sort();
    names.iter().flat_map(|name| files_under(&Path::new(path).join(name).to_string_lossy())).collect()
}

/// The Rust files among [`files_under`].
pub(crate) fn rust_files_under(path: &str) -> Vec<String> {
    files_under(path).into_iter().filter(|file| file.ends_with(".rs")).collect()
}

/// The text of a file of the repository.
pub(crate) fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

/// The module path of a file under `src`: `watch`, `roster` for `src/watch/roster/mod.rs`.
fn module_of(file: &str) -> Vec<&str> {
    let inner = file.strip_prefix("src/").unwrap_or(file).strip_suffix(".rs").unwrap_or(file);
    let mut path: Vec<&str> = inner.split('/').collect();
    if path.last() == Some(&"mod") {
        path.pop();
    }
    path
}
