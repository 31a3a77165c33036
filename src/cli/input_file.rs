//! Reads a file that an option names.

use std::io;
use std::path::Path;

use anyhow::anyhow;

/// Reads a text file. `option` is the one that names it.
///
/// # Errors
/// A sentence with the option, the path, and what to do.
pub(super) fn read(option: &str, path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        let file = path.display();
        match error.kind() {
            io::ErrorKind::NotFound => anyhow!("{option}: the file {file} does not exist; correct its path"),
            io::ErrorKind::PermissionDenied => anyhow!("{option}: this user may not read {file}; make it readable"),
            io::ErrorKind::InvalidData => anyhow!("{option}: {file} is not text in UTF-8; name another file"),
            _ => anyhow!("{option}: {file} cannot be read: {error}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_read_is_named_with_its_option_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let why = |path: &Path| read("--script", path).unwrap_err().to_string();
        assert!(why(&folder.path().join("none")).ends_with("none does not exist; correct its path"));
        let file = folder.path().join("bytes");
        std::fs::write(&file, [0xff]).unwrap();
        assert!(why(&file).starts_with("--script: ") && why(&file).contains("not text in UTF-8"));
        assert!(why(folder.path()).contains("cannot be read"));
    }
}
