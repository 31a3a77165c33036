//! Keeps the key of an installation's pseudonyms in a file beside the store. The first start makes it.

use std::io;
use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;

use crate::pseudonym::PseudonymKey;
use crate::secret_file::{self, SECRET_BYTES, SecretFileError};

/// Why there is no key, in words for the operator.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot read the key for pseudonyms from {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    #[error(
        "the key for pseudonyms in {} belongs to another user, who knows it; if it is yours, give it to the user that the daemon runs as with `chown`, or else restore it from a backup, so that everybody keeps their pseudonym",
        .0.display()
    )]
    Foreign(PathBuf),
    #[error(
        "{} does not hold a valid key for pseudonyms; restore it from a backup, or delete it to get a new key, which gives everybody a new pseudonym",
        .0.display()
    )]
    Unusable(PathBuf),
    #[error("cannot write a key for pseudonyms to {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
    #[error("the operating system provides no random bytes to make a key")]
    Random(#[source] io::Error),
}

/// Returns the path of a store's key: the store's path with `.pseudonyms` appended.
#[must_use]
pub fn path_beside(store: &Path) -> PathBuf {
    secret_file::path(store, ".pseudonyms")
}

/// Reads the key beside the store; the first call makes it, readable by this user only. Blocks on file IO.
///
/// # Errors
/// [`KeyError`] if it can be neither read nor made.
pub fn load_or_create(store: &Path) -> Result<PseudonymKey, KeyError> {
    let path = path_beside(store);
    let text = secret_file::load_or_create(&path).map_err(|error| match error {
        SecretFileError::Foreign => KeyError::Foreign(path.clone()),
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
    fn a_key_of_another_user_is_to_be_given_back_or_restored_and_not_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("meetwatch.db");
        let said = KeyError::Foreign(path_beside(&store)).to_string();
        assert!(said.contains("chown") && said.contains("restore") && !said.contains("delete"), "{said}");
        load_or_create(&store).unwrap();
        if std::os::unix::fs::chown(path_beside(&store), Some(12345), None).is_err() {
            return; // Only root may give a file away.
        }
        assert!(matches!(load_or_create(&store), Err(KeyError::Foreign(_))));
    }

    #[test]
    fn a_truncated_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("meetwatch.db");
        std::fs::write(path_beside(&store), "abcd\n").unwrap();
        assert!(matches!(load_or_create(&store), Err(KeyError::Unusable(_))));
    }
}
