//! Inspects the credentials files of an identity without any network access, for `check`.

use std::path::Path;

use super::files::{self, DefaultFile};
use super::private_key;
use super::service_account::broken_key;
use super::token_source::access_token;
use super::token_store::StoredToken;
use crate::meet::failure::Failure;
use crate::meet::settings::Credentials;

/// The result of inspecting all files of an identity.
#[derive(Debug, Default)]
pub struct Inspection {
    /// Whether it is a service account that acts for itself and not for a user.
    pub acts_for_itself: bool,
    /// Why the identity cannot obtain a token at all.
    pub problem: Option<Failure>,
}

/// Inspects a service account's key: whether it can be read and parsed, and whether its private key can sign.
fn inspect_key(path: &Path) -> Result<(), Failure> {
    can_sign(&files::parse_key(&files::read(path)?)?)
}

fn can_sign(key: &yup_oauth2::ServiceAccountKey) -> Result<(), Failure> {
    if private_key::can_sign(&key.private_key) { Ok(()) } else { Err(broken_key()) }
}

/// Inspects every file that an identity names.
#[must_use]
pub fn inspect(credentials: &Credentials) -> Inspection {
    let (acts_for_itself, usable) = match credentials {
        Credentials::ServiceAccount { key, subject } => (subject.is_none(), inspect_key(key)),
        Credentials::UserConsent { client_secret, token_store } => {
            let client = files::read(client_secret).and_then(|bytes| files::parse_client(&bytes)).map(drop);
            (false, client.and_then(|()| StoredToken::load(token_store).map(drop)))
        }
        Credentials::ApplicationDefault { file: Some(file) } => {
            match files::read(file).and_then(|bytes| files::parse_default(&bytes)) {
                Ok(DefaultFile::Key(key)) => (true, can_sign(&key)),
                Ok(DefaultFile::User(_)) => (false, Ok(())),
                Err(failure) => (false, Err(failure)),
            }
        }
        Credentials::ApplicationDefault { file: None } => (false, Ok(())),
        Credentials::AccessTokenFile(path) => (false, access_token(path).map(drop)),
    };
    Inspection { acts_for_itself, problem: usable.err() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_of_garbage_is_a_problem_that_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        let file =
            r#"{"type":"service_account","private_key":"k","client_email":"e","token_uri":"http://127.0.0.1:1"}"#;
        std::fs::write(&path, file).unwrap();
        for credentials in [
            Credentials::ServiceAccount { key: path.clone(), subject: None },
            Credentials::ApplicationDefault { file: Some(path.clone()) },
        ] {
            let inspection = inspect(&credentials);
            assert!(inspection.acts_for_itself);
            assert_eq!(inspection.problem.unwrap().detail, "the private key in the key file cannot be used");
        }
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
