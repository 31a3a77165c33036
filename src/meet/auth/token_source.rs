//! Obtains the access tokens of an identity, by the kind of its credentials. Files are read for each token, so that a
//! replaced file is used without a restart.

use std::path::Path;

use super::scopes::Scopes;
use super::token_endpoint::IssuedToken;
use super::{application_default, files, refresh, service_account};
use crate::clock::Clock;
use crate::meet::error::Reason;
use crate::meet::failure::Failure;
use crate::meet::http_clients::HttpClients;
use crate::meet::settings::Credentials;

const EMPTY: &str = "check the program that writes access tokens: this file contains none";

/// See the module.
#[derive(Debug)]
pub(in crate::meet) struct TokenSource {
    credentials: Credentials,
    http: HttpClients,
    clock: Clock,
}

impl TokenSource {
    pub(in crate::meet) const fn new(credentials: Credentials, http: HttpClients, clock: Clock) -> Self {
        Self { credentials, http, clock }
    }

    /// Whether tokens may be cached. Another program keeps an access token file up to date, so it is read at each use.
    pub(super) const fn may_be_cached(&self) -> bool {
        !matches!(self.credentials, Credentials::AccessTokenFile(_))
    }

    /// Obtains a new token.
    pub(super) async fn fetch(&self, scopes: Scopes) -> Result<IssuedToken, Failure> {
        let HttpClients { through_proxy, direct, proxy } = &self.http;
        match &self.credentials {
            Credentials::ServiceAccount { key, subject } => {
                let key = files::parse_key(&files::read(key)?)?;
                service_account::token(key, subject.as_deref(), scopes, proxy.as_ref(), &self.clock).await
            }
            Credentials::UserConsent { client_secret, token_store } => {
                refresh::from_store(through_proxy, client_secret, token_store, scopes).await
            }
            Credentials::ApplicationDefault { file: Some(file) } => {
                application_default::from_file(&self.http, file, scopes, &self.clock).await
            }
            Credentials::ApplicationDefault { file: None } => {
                application_default::from_machine(direct, application_default::METADATA, scopes).await
            }
            Credentials::AccessTokenFile(path) => access_token(path),
        }
    }
}

/// Reads the access token in a file, without the newline that editors and shells add.
pub(super) fn access_token(path: &Path) -> Result<IssuedToken, Failure> {
    let bytes = files::read(path)?;
    match std::str::from_utf8(&bytes).map(str::trim) {
        Ok(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(IssuedToken { text: text.to_owned(), lifetime: None })
        }
        _ => Err(Failure::new(Reason::Credentials, "the access token file contains no token", EMPTY)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_token_file_may_end_in_a_newline_and_must_contain_one_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "ya29.a-b_c\n").unwrap();
        assert_eq!(access_token(&path).map(|token| token.text).ok().as_deref(), Some("ya29.a-b_c"));
        for bad in ["", " \n", "two words", "tok\u{e9}n", "tok\u{0}en"] {
            std::fs::write(&path, bad).unwrap();
            let failure = access_token(&path).err().unwrap();
            assert_eq!((failure.reason, failure.remedy), (Reason::Credentials, EMPTY), "{bad:?}");
        }
    }
}
