//! The token that the daemon creates at its first start, in a file beside the store that only its own user can read.

use std::io;
use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;
use secrecy::SecretString;

use crate::store::beside;

/// How many random bytes a token encodes.
const TOKEN_BYTES: usize = 32;

/// Reading stops after this many bytes; a token is shorter.
const MAX_TOKEN_BYTES: u64 = 1024;

/// Why no token is available, in one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("cannot read the API token in {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
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
    beside::path(store, ".token")
}

/// Returns the token beside the store. Creates it first if there is none, readable only by this user. Blocking.
///
/// # Errors
/// [`TokenError`] if it can be neither read nor created.
pub fn load_or_create(store: &Path) -> Result<SecretString, TokenError> {
    let path = path_beside(store);
    match load(&path) {
        Err(TokenError::Read(_, error)) if error.kind() == io::ErrorKind::NotFound => create(&path),
        loaded => loaded,
    }
}

/// Reads the token from an existing file. Blocking.
///
/// # Errors
/// [`TokenError::Read`] or [`TokenError::Unusable`].
pub fn load(path: &Path) -> Result<SecretString, TokenError> {
    use std::io::Read as _;
    let failed = |error| TokenError::Read(path.to_owned(), error);
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    warn_if_open(path, &file);
    file.take(MAX_TOKEN_BYTES).read_to_string(&mut text).map_err(failed)?;
    let token = text.trim_end();
    // A file that a full disk cut short would hold a token that can be guessed.
    if token.len() < TOKEN_BYTES || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(TokenError::Unusable(path.to_owned()));
    }
    Ok(SecretString::from(token))
}

/// Logs a warning if other users can read the file. The daemon created it with mode 0600.
fn warn_if_open(path: &Path, file: &std::fs::File) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0) {
            tracing::warn!(path = %path.display(), "other users can read the API token; run `chmod 600` on its file");
        }
    }
    #[cfg(not(unix))]
    let _ = (path, file);
}

fn create(path: &Path) -> Result<SecretString, TokenError> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| TokenError::Random(error.into()))?;
    let token = BASE64URL_NOPAD.encode(&bytes);
    match beside::create(path, &token) {
        Ok(true) => Ok(SecretString::from(token)),
        // Another process created it in the meantime.
        Ok(false) => load(path),
        Err(error) => Err(TokenError::Write(path.to_owned(), error)),
    }
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
