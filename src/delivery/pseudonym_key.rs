//! Where the key of an installation's pseudonyms is kept: in a file beside the store, made at the first start.

use std::io;
use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;

use crate::pseudonym::PseudonymKey;
use crate::secret_file::{self, SECRET_BYTES, SecretFileError};

/// Why there is no key, in one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot read the pseudonyms' key in {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    #[error(
        "{} does not hold a key for pseudonyms; bring it back from a backup, or delete it: then everybody gets another pseudonym",
        .0.display()
    )]
    Unusable(PathBuf),
    #[error("cannot write a key for pseudonyms to {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
    #[error("this machine gives no random bytes to make a key of")]
    Random(#[source] io::Error),
}

/// Where the key of a store lies: in the same folder, under the store's name with `.pseudonyms` after it.
#[must_use]
pub fn path_beside(store: &Path) -> PathBuf {
    secret_file::path(store, ".pseudonyms")
}

/// The key beside the store; the first call makes it, readable by this user alone. Does file IO; not for a task.
///
/// # Errors
/// [`KeyError`] if it can be neither read nor made.
pub fn load_or_create(store: &Path) -> Result<PseudonymKey, KeyError> {
    let path = path_beside(store);
    let text = secret_file::load_or_create(&path).map_err(|error| match error {
        SecretFileError::Read(error) => KeyError::Read(path.clone(), error),
        SecretFileError::Write(error) => KeyError::Write(path.clone(), error),
        SecretFileError::Random(error) => KeyError::Random(error),
    })?;
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok();
    // A file cut short by a full disk would be a key that can be guessed.
    let bytes = bytes.filter(|bytes| bytes.len() == SECRET_BYTES).ok_or(KeyError::Unusable(path))?;
    Ok(PseudonymKey::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("meetwatch.db");
        load_or_create(&store).unwrap();
        let written = std::fs::read(path_beside(&store)).unwrap();
        load_or_create(&store).unwrap();
        assert_eq!(std::fs::read(path_beside(&store)).unwrap(), written);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(path_beside(&store)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_key_that_was_cut_short_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("meetwatch.db");
        std::fs::write(path_beside(&store), "abcd\n").unwrap();
        assert!(matches!(load_or_create(&store), Err(KeyError::Unusable(_))));
    }
}
