//! The token that the daemon creates at its first start, in a file beside the store that only its own user can read.

use std::io;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::secret_file::{self, SECRET_BYTES, SecretFileError};

/// Why no token is available, in one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("cannot read the API token in {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    #[error(
        "the API token in {} belongs to another user, who knows it; delete the file, and the next start creates a new one",
        .0.display()
    )]
    Foreign(PathBuf),
    #[error("{} does not contain a token; delete the file, and the next start creates a new one", .0.display())]
    Unusable(PathBuf),
    #[error("cannot write the API token to {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
    #[error("cannot create the API token: the system returned no random bytes")]
    Random(#[source] io::Error),
}

/// Returns the path of a store's token: the store's path with `.token` appended.
#[must_use]
pub fn path_beside(store: &Path) -> PathBuf {
    secret_file::path(store, ".token")
}

/// Returns the token beside the store. Creates it first if there is none, readable only by this user. Blocking.
///
/// # Errors
/// [`TokenError`] if it can be neither read nor created.
pub fn load_or_create(store: &Path) -> Result<SecretString, TokenError> {
    let path = path_beside(store);
    let text = secret_file::load_or_create(&path).map_err(|error| match error {
        SecretFileError::Foreign => TokenError::Foreign(path.clone()),
        SecretFileError::Read(error) => TokenError::Read(path.clone(), error),
        SecretFileError::Write(error) => TokenError::Write(path.clone(), error),
        SecretFileError::Random(error) => TokenError::Random(error),
    })?;
    token(&path, &text)
}

/// Reads the token from an existing file. Blocking.
///
/// # Errors
/// [`TokenError::Read`] or [`TokenError::Unusable`].
pub fn load(path: &Path) -> Result<SecretString, TokenError> {
    let text = secret_file::load(path).map_err(|error| TokenError::Read(path.to_owned(), error))?;
    token(path, &text)
}

fn token(path: &Path, text: &str) -> Result<SecretString, TokenError> {
    warn_if_open(path);
    // A file that a full disk cut short would hold a token that can be guessed.
    if text.len() < SECRET_BYTES || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(TokenError::Unusable(path.to_owned()));
    }
    Ok(SecretString::from(text))
}

/// Logs a warning if other users can read the file. The daemon created it with mode 0600.
fn warn_if_open(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0) {
            tracing::warn!(path = %path.display(), "other users can read the API token; run `chmod 600` on its file");
        }
    }
    #[cfg(not(unix))]
    let _ = path;
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_token_is_created_once_and_readable_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("meetwatch.db");
        let made = load_or_create(&store).unwrap();
        let again = load_or_create(&store).unwrap();
        assert_eq!(made.expose_secret(), again.expose_secret());
        assert_eq!(made.expose_secret().len(), 43);
        let elsewhere = load_or_create(&folder.path().join("other.db")).unwrap();
        assert_ne!(made.expose_secret(), elsewhere.expose_secret());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(path_beside(&store)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_truncated_token_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("meetwatch.db");
        std::fs::write(path_beside(&store), "abc\n").unwrap();
        assert!(matches!(load_or_create(&store), Err(TokenError::Unusable(_))));
    }

    #[test]
    fn creating_the_token_fails_if_the_folder_of_the_store_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("missing/meetwatch.db");
        assert!(matches!(load_or_create(&store), Err(TokenError::Write(..))));
    }
}
