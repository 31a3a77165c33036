//! Small files that lie beside the store and are made once, such as the API's token.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Where such a file lies: in the store's folder, under the store's name with `ending` after it.
#[must_use]
pub fn path(store: &Path, ending: &str) -> PathBuf {
    let mut name = store.file_name().map_or_else(|| OsString::from("meetwatch"), OsString::from);
    name.push(ending);
    store.with_file_name(name)
}

/// Makes a file with this line in it, readable by this user alone, whole or not at all. False where there is one already:
/// that is left as it is. Does file IO; not for a task.
///
/// # Errors
/// Where the folder does not let us make or name a file.
pub fn create(path: &Path, line: &str) -> io::Result<bool> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Made with mode 0600, and in its place only when it is whole.
    let mut file = NamedTempFile::new_in(folder)?;
    writeln!(file, "{line}")?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder.path().join("meetwatch.db"), ".word");
        assert_eq!(path, folder.path().join("meetwatch.db.word"));
        assert!(create(&path, "first").unwrap());
        assert!(!create(&path, "second").unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else lies about");
    }
}
