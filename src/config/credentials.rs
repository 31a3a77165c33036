//! How an identity proves who it is, and whether the files for it are what they should be.

use std::path::PathBuf;

use super::environment::Environment;
use super::files::{self, ReferencedFiles, warn_if_open};
use super::key_file::KeyFile;
use super::section::{Located, Section};
use super::suggest;
use crate::meet::settings::Credentials;

/// The four ways, by the key that chooses each.
const WAYS: [&str; 4] = ["service_account_key", "client_secret", "application_default", "access_token_file"];

/// The credentials of one `[[identity]]`; those of a service account without a subject.
pub(super) fn read(section: &Section<'_>, files: &ReferencedFiles<'_>) -> Option<Credentials> {
    let key = files.path(section, "service_account_key");
    let secret = files.path(section, "client_secret");
    let store = files.path(section, "token_store");
    let default = section.flag("application_default");
    let token = files.path(section, "access_token_file");

    exactly_one_way(section)?;
    if let (Some(store), false) = (&store, section.has("client_secret")) {
        store.problem("goes with `client_secret` only");
    }
    if let Some(key) = key {
        return service_account(&key, files);
    }
    if let Some(secret) = secret {
        return user_consent(section, &secret, store, files);
    }
    if let Some(token) = token {
        warn_unless_there(&token, "whoever mints the tokens has to put it there");
        return Some(Credentials::AccessTokenFile(token.value));
    }
    application_default(&default?, files.environment)
}

fn exactly_one_way(section: &Section<'_>) -> Option<()> {
    let all = suggest::list(&WAYS);
    match WAYS.iter().filter(|way| section.has(way)).count() {
        1 => return Some(()),
        0 => section.absent("", format!("has no credentials; give it one of {all}")),
        _ => section.problem("", format!("has several kinds of credentials; keep one of {all}")),
    }
    None
}

fn service_account(key: &Located<'_, PathBuf>, files: &ReferencedFiles<'_>) -> Option<Credentials> {
    let found = key_file(key, files)?;
    if found != KeyFile::ServiceAccount {
        key.problem("the file is not the key of a service account (JSON with `\"type\": \"service_account\"`)");
        return None;
    }
    Some(Credentials::ServiceAccount { key: key.value.clone(), subject: None })
}

fn user_consent(
    section: &Section<'_>,
    secret: &Located<'_, PathBuf>,
    store: Option<Located<'_, PathBuf>>,
    files: &ReferencedFiles<'_>,
) -> Option<Credentials> {
    let client = key_file(secret, files);
    if client.as_ref().is_some_and(|client| *client != KeyFile::Client) {
        secret.problem("the file is not an OAuth client (JSON with `installed`, as Google's console downloads it)");
    }
    let Some(store) = store else {
        if !section.has("token_store") {
            section.absent("token_store", "is missing; `client_secret` needs the file that `meetwatch login` writes");
        }
        return None;
    };
    warn_unless_there(&store, "run `meetwatch login` once");
    Some(Credentials::UserConsent { client_secret: secret.value.clone(), token_store: store.value })
}

fn application_default(flag: &Located<'_, bool>, environment: &Environment) -> Option<Credentials> {
    if !flag.value {
        flag.problem("must be true, or left out");
        return None;
    }
    let named = environment.google_application_credentials.clone();
    let gcloud = environment.gcloud_credentials.clone().filter(|path| path.exists());
    let Some(path) = named.or(gcloud) else {
        // Neither file: the machine's metadata server is left.
        return Some(Credentials::ApplicationDefault { file: None });
    };
    let file = flag.with(path);
    match files::read(&file.value).map(|text| KeyFile::recognize(&text)) {
        Ok(Ok(KeyFile::ServiceAccount | KeyFile::AuthorizedUser)) => {
            warn_if_open(&file, &file.value);
            Some(Credentials::ApplicationDefault { file: Some(file.value) })
        }
        Ok(Ok(_)) => {
            file.problem(
                "the file of the application default credentials is neither a service account's key nor a user's; \
                 federated and impersonated credentials are not available",
            );
            None
        }
        Ok(Err(wrong)) => {
            file.problem(format!("the file of the application default credentials {wrong}"));
            None
        }
        Err(error) => {
            file.problem(format!("the file of the application default credentials {}", files::explain(&error)));
            None
        }
    }
}

/// What a file of credentials holds; the problem is explain if it cannot be read or is not JSON.
fn key_file(path: &Located<'_, PathBuf>, files: &ReferencedFiles<'_>) -> Option<KeyFile> {
    let text = files.contents(path)?;
    warn_if_open(path, &path.value);
    KeyFile::recognize(&text.value).inspect_err(|wrong| path.problem(format!("the file {wrong}"))).ok()
}

/// Warns about a file that may still come.
fn warn_unless_there(path: &Located<'_, PathBuf>, remedy: &str) {
    match files::read(&path.value) {
        Ok(_) => warn_if_open(path, &path.value),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            path.not_there(format!("the file does not exist yet; {remedy}"));
        }
        Err(error) => path.not_there(format!("the file {}", files::explain(&error))),
    }
}
