//! Reads the files that a configuration names, up to a limit.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::section::{Located, Section};

/// The cap on a file: more than any key, secret or list of subjects needs.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Resolves and reads the files that one configuration names.
#[derive(Debug, Clone)]
pub(super) struct ReferencedFiles<'a> {
    pub(super) environment: &'a Environment,
    /// The folder of the configuration file.
    pub(super) folder: &'a Path,
}

impl ReferencedFiles<'_> {
    /// Returns the path in `key`. `None` if the key is missing or its value is not a path.
    pub(super) fn path<'a>(&self, section: &Section<'a>, key: &'static str) -> Option<Located<'a, PathBuf>> {
        self.resolve(&section.text(key)?)
    }

    /// Returns the path that a text means.
    pub(super) fn resolve<'a>(&self, text: &Located<'a, &'a str>) -> Option<Located<'a, PathBuf>> {
        if text.value.is_empty() || text.value.contains('\0') {
            text.problem("must be the path of a file, or `credential:NAME`");
            return None;
        }
        match self.environment.resolve(text.value, self.folder) {
            Ok(path) => Some(text.with(path)),
            Err(message) => {
                text.problem(message);
                None
            }
        }
    }

    /// Reads a file that has to exist.
    pub(super) fn contents<'a>(&self, path: &Located<'a, PathBuf>) -> Option<Located<'a, String>> {
        match read(&path.value) {
            Ok(text) => Some(path.with(text)),
            Err(error) => {
                path.problem(format!("the file {}", explain_io_error(&error)));
                None
            }
        }
    }
}

/// Reads a text file. What is not a regular file is refused unread, because reading it might never end.
pub(super) fn read(path: &Path) -> io::Result<String> {
    // Checked before the file is opened, because opening a pipe waits for its other end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file"));
    }
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "is larger than 1 MiB"));
    }
    Ok(text)
}

/// Says why a file could not be read and what to do, as the end of a sentence about the file.
pub(super) fn explain_io_error(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist; create it or correct the path".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "may not be read by this user; make it readable for the user that runs meetwatch".to_owned()
        }
        io::ErrorKind::InvalidData => "is not text in UTF-8".to_owned(),
        io::ErrorKind::InvalidInput | io::ErrorKind::FileTooLarge => error.to_string(),
        _ => format!("cannot be read: {error}"),
    }
}

/// Warns if every user of the machine can read the file.
pub(super) fn warn_if_world_readable<T>(found: &Located<'_, T>, path: &Path) {
    if std::fs::metadata(path).is_ok_and(|metadata| is_world_readable(&metadata)) {
        found.warning("every user of this machine can read the file; run `chmod 600` on it");
    }
}

/// Whether every user of the machine can read a file.
#[cfg(unix)]
pub(super) fn is_world_readable(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o004 != 0
}

/// Whether every user of the machine can read a file. Not known on this system.
#[cfg(not(unix))]
pub(super) fn is_world_readable(_: &Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_regular_file_is_refused_unread() {
        let error = read(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(explain_io_error(&error), "is not a regular file");
        assert!(read(tempfile::tempdir().unwrap().path()).is_err());
    }

    #[test]
    fn an_oversized_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        std::fs::write(&path, vec![b'a'; usize::try_from(MAX_FILE_BYTES).unwrap() + 1]).unwrap();
        assert_eq!(explain_io_error(&read(&path).unwrap_err()), "is larger than 1 MiB");
        std::fs::write(&path, "fine").unwrap();
        assert_eq!(read(&path).unwrap(), "fine");
    }
}
