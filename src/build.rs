//! Sets `MEETWATCH_REVISION`, which `--version` shows, to the revision that is built, or to `unknown`.
#![expect(clippy::disallowed_methods, reason = "cargo passes everything in the environment")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=src/build.rs");
    // Packages are built without a repository; the packager sets the revision.
    println!("cargo::rerun-if-env-changed=MEETWATCH_REVISION");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let given = env::var("MEETWATCH_REVISION").ok().filter(|given| is_word(given));
    let revision = given.or_else(|| revision(&root)).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=MEETWATCH_REVISION={revision}");
}

/// Returns the revision of the repository with this root. None for a copy of the sources inside another repository.
fn revision(root: &Path) -> Option<String> {
    let top = git(root, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    // `HEAD` changes when another branch is checked out, its log with every commit.
    for file in ["HEAD", "logs/HEAD"] {
        let path = root.join(git(root, &["rev-parse", "--git-path", file])?);
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    git(root, &["rev-parse", "--short=12", "HEAD"]).filter(|revision| is_word(revision))
}

/// Runs git and returns its output, or nothing if it fails.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim_end().to_owned())
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b))
}
