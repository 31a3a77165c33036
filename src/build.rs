//! Puts the revision that is being built into the program, as far as it is known.
#![expect(clippy::disallowed_methods, reason = "cargo hands everything over in the environment")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=src/build.rs");
    // A packager who builds without the repository says what is built.
    println!("cargo::rerun-if-env-changed=MEETWATCH_REVISION");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let given = env::var("MEETWATCH_REVISION").ok().filter(|given| is_word(given));
    let revision = given.or_else(|| revision(&root)).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=MEETWATCH_REVISION={revision}");
}

/// The revision of the repository whose root this is. A copy inside somebody else's repository has none.
fn revision(root: &Path) -> Option<String> {
    let top = git(root, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    // `HEAD` changes with the branch, its log with every commit.
    for file in ["HEAD", "logs/HEAD"] {
        let path = root.join(git(root, &["rev-parse", "--git-path", file])?);
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    git(root, &["rev-parse", "--short=12", "HEAD"]).filter(|revision| is_word(revision))
}

fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim_end().to_owned())
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b))
}
