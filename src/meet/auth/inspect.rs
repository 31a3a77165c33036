//! Inspects the credentials files of an identity without any network access: for `check`, and for a warning at start.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::files;
use super::token_source::access_token;
use super::token_store::StoredToken;
use crate::meet::failure::Failure;
use crate::meet::settings::Credentials;

/// Something that works but is dangerous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// The file's mode lets others read it.
    #[error("every user of this machine can read this file; run `chmod 0600` on it")]
    ReadableByOthers,
}

/// The result of inspecting all files of an identity.
#[derive(Debug, Default)]
pub struct Inspection {
    /// Each warning with the file it is about.
    pub warnings: Vec<(std::path::PathBuf, Warning)>,
    /// Why the identity cannot obtain a token at all.
    pub problem: Option<Failure>,
}

/// Inspects a service account's key: whether it can be read and parsed, and whether every user can read it.
///
/// # Errors
/// `credentials` if no token could be obtained with it. The private key itself is only tried at its first use.
fn inspect_key(path: &Path) -> Result<Option<Warning>, Failure> {
    files::parse_key(&files::read(path)?)?;
    Ok(warning(path))
}

/// Inspects every file that an identity names.
#[must_use]
pub fn inspect(credentials: &Credentials) -> Inspection {
    let (files, readable): (Vec<&Path>, Result<(), Failure>) = match credentials {
        Credentials::ServiceAccount { key, .. } => (vec![key], inspect_key(key).map(drop)),
        Credentials::UserConsent { client_secret, token_store } => {
            let client = files::read(client_secret).and_then(|bytes| files::parse_client(&bytes)).map(drop);
            (vec![token_store], client.and_then(|()| StoredToken::load(token_store).map(drop)))
        }
        Credentials::ApplicationDefault { file: Some(file) } => {
            (vec![file], files::read(file).and_then(|bytes| files::parse_default(&bytes)).map(drop))
        }
        Credentials::ApplicationDefault { file: None } => (vec![], Ok(())),
        Credentials::AccessTokenFile(path) => (vec![path], access_token(path).map(drop)),
    };
    let warnings = files.into_iter().filter_map(|path| Some((path.to_owned(), warning(path)?))).collect();
    Inspection { warnings, problem: readable.err() }
}

fn warning(path: &Path) -> Option<Warning> {
    let mode = std::fs::metadata(path).ok()?.mode();
    // The service's user may have access through the group, so only the world's access is a warning.
    (mode & 0o004 != 0).then_some(Warning::ReadableByOthers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const KEY: &str =
        r#"{"type":"service_account","private_key":"k","client_email":"e","token_uri":"http://127.0.0.1:1"}"#;

    #[test]
    fn a_key_that_the_world_can_read_is_a_warning_and_not_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        std::fs::write(&path, KEY).unwrap();
        for (mode, expected) in [(0o600, None), (0o640, None), (0o644, Some(Warning::ReadableByOthers))] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(inspect_key(&path).unwrap(), expected, "{mode:o}");
        }
        let credentials = Credentials::ServiceAccount { key: path.clone(), subject: None };
        let inspection = inspect(&credentials);
        assert_eq!(inspection.warnings, vec![(path, Warning::ReadableByOthers)]);
        assert_eq!(inspection.problem, None);
    }

    #[test]
    fn a_missing_file_is_a_problem_and_credentials_without_a_file_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        for credentials in [
            Credentials::ServiceAccount { key: missing.clone(), subject: None },
            Credentials::UserConsent { client_secret: missing.clone(), token_store: missing.clone() },
            Credentials::ApplicationDefault { file: Some(missing.clone()) },
            Credentials::AccessTokenFile(missing.clone()),
        ] {
            assert!(inspect(&credentials).problem.is_some(), "{credentials:?}");
        }
        assert!(inspect(&Credentials::ApplicationDefault { file: None }).problem.is_none());
    }
}
