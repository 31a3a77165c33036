//! The file that `meetwatch login` writes: a refresh token and its scopes. Only the owner can read it, and it is replaced
//! atomically.

use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files;
use crate::meet::error::Reason;
use crate::meet::failure::Failure;

const LOGIN: &str = "run `meetwatch login` with this token store";

/// The content of the file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredToken {
    /// The refresh token with which access tokens are obtained.
    pub refresh_token: String,
    /// The scopes that the user consented to.
    pub scopes: Vec<String>,
}

impl std::fmt::Debug for StoredToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredToken").field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

impl StoredToken {
    /// Reads the file.
    ///
    /// # Errors
    /// `credentials` if it cannot be read or was not written by `meetwatch login`.
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let bytes = files::read(path).map_err(|failure| Failure { remedy: LOGIN, ..failure })?;
        serde_json::from_slice(&bytes)
            .map_err(|_| Failure::new(Reason::Credentials, "the token store contains no token", LOGIN))
    }

    /// Writes the file with mode 0600. A reader, also one after a crash, finds either the old content or the new.
    ///
    /// # Errors
    /// If a file in the folder cannot be created, flushed or renamed.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        write_secret(path, &serde_json::to_vec_pretty(self)?)
    }
}

/// Replaces the file at `path` by one with these bytes that only its owner can read: writes a temporary file in the same
/// folder, flushes it to the disk and renames it.
///
/// # Errors
/// If a file in the folder cannot be created, flushed or renamed.
pub fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // A temporary file is created with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn token(text: &str) -> StoredToken {
        StoredToken { refresh_token: text.to_owned(), scopes: vec!["a".to_owned()] }
    }

    #[test]
    fn only_the_owner_can_read_a_token_file_even_if_it_replaces_a_readable_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token.json");
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        token("new").save(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(StoredToken::load(&path).unwrap(), token("new"));
    }

    #[test]
    fn a_token_file_is_replaced_atomically() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token.json");
        token("old").save(&path).unwrap();
        // A reader that has the file open keeps the old content: it was replaced, not rewritten.
        let mut open = std::fs::File::open(&path).unwrap();
        token("new").save(&path).unwrap();
        let mut text = String::new();
        io::Read::read_to_string(&mut open, &mut text).unwrap();
        assert!(text.contains("old") && !text.contains("new"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
        assert!(token("x").save(&folder.path().join("missing").join("token.json")).is_err());
    }

    #[test]
    fn the_remedy_for_a_missing_or_foreign_store_is_a_login() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token.json");
        assert_eq!(StoredToken::load(&path).unwrap_err().remedy, LOGIN);
        std::fs::write(&path, "[]").unwrap();
        let failure = StoredToken::load(&path).unwrap_err();
        assert_eq!((failure.reason, failure.remedy), (Reason::Credentials, LOGIN));
    }

    #[test]
    fn the_debug_form_of_a_token_contains_no_token() {
        assert!(!format!("{:?}", token("hush")).contains("hush"));
    }
}
