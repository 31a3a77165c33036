//! The token that the daemon makes for itself: at its first start, beside the store, for whoever may read that file.

use std::io;
use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;
use secrecy::SecretString;

use crate::store::beside;

/// How many random bytes a token stands for.
const TOKEN_BYTES: usize = 32;

/// More than a token has.
const MAX_TOKEN_BYTES: u64 = 1024;

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
    beside::path(store, ".token")
}

/// The token beside the store; the first call makes it, readable by this user alone. Does file IO; not for a task.
///
/// # Errors
/// [`TokenError`] if it can be neither read nor made.
pub fn load_or_create(store: &Path) -> Result<SecretString, TokenError> {
    let path = path_beside(store);
    match load(&path) {
        Err(TokenError::Read(_, error)) if error.kind() == io::ErrorKind::NotFound => create(&path),
        loaded => loaded,
    }
}

/// The token in a file that is there.
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
    // A file cut short by a full disk would be a token that can be guessed.
    if token.len() < TOKEN_BYTES || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(TokenError::Unusable(path.to_owned()));
    }
    Ok(SecretString::from(token))
}

/// Somebody changed what was written with mode 0600.
fn warn_if_open(path: &Path, file: &std::fs::File) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0) {
            tracing::warn!(path = %path.display(), "others can read the API's token; `chmod 600` it");
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
        // Somebody else was faster: there is one token, and it is theirs.
        Ok(false) => load(path),
        Err(error) => Err(TokenError::Write(path.to_owned(), error)),
    }
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
