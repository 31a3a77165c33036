//! The token that the daemon makes for itself: at its first start, beside the store, for whoever may read that file.

use std::io;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::secret_file::{self, SECRET_BYTES, SecretFileError};

/// Why there is no token, in one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("cannot read the API's token in {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    #[error("{} does not hold a token; delete it, and the next start makes a new one", .0.display())]
    Unusable(PathBuf),
    #[error("cannot write a token for the API to {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
    #[error("this machine gives no random bytes to make a token of")]
    Random(#[source] io::Error),
}

/// Where the token of a store lies: in the same folder, under the store's name with `.token` after it.
#[must_use]
pub fn path_beside(store: &Path) -> PathBuf {
    secret_file::path(store, ".token")
}

/// The token beside the store; the first call makes it, readable by this user alone. Does file IO; not for a task.
///
/// # Errors
/// [`TokenError`] if it can be neither read nor made.
pub fn load_or_create(store: &Path) -> Result<SecretString, TokenError> {
    let path = path_beside(store);
    let text = secret_file::load_or_create(&path).map_err(|error| match error {
        SecretFileError::Read(error) => TokenError::Read(path.clone(), error),
        SecretFileError::Write(error) => TokenError::Write(path.clone(), error),
        SecretFileError::Random(error) => TokenError::Random(error),
    })?;
    token(&path, &text)
}

/// The token in a file that is there.
///
/// # Errors
/// [`TokenError::Read`] or [`TokenError::Unusable`].
pub fn load(path: &Path) -> Result<SecretString, TokenError> {
    let text = secret_file::load(path).map_err(|error| TokenError::Read(path.to_owned(), error))?;
    token(path, &text)
}

fn token(path: &Path, text: &str) -> Result<SecretString, TokenError> {
    warn_if_open(path);
    // A file cut short by a full disk would be a token that can be guessed.
    if text.len() < SECRET_BYTES || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(TokenError::Unusable(path.to_owned()));
    }
    Ok(SecretString::from(text))
}

/// Somebody changed what was written with mode 0600.
fn warn_if_open(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0) {
            tracing::warn!(path = %path.display(), "others can read the API's token; `chmod 600` it");
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
    fn a_token_is_made_once_and_only_its_owner_can_read_it() {
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
    fn a_token_that_was_cut_short_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("meetwatch.db");
        std::fs::write(path_beside(&store), "abc\n").unwrap();
        assert!(matches!(load_or_create(&store), Err(TokenError::Unusable(_))));
    }

    #[test]
    fn without_a_folder_for_the_store_there_is_no_token() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("missing/meetwatch.db");
        assert!(matches!(load_or_create(&store), Err(TokenError::Write(..))));
    }
}
