//! The credentials of an identity. Checks that their files exist and are of the right kind.

use std::path::PathBuf;

use super::environment::Environment;
use super::files::{self, ReferencedFiles, warn_if_world_readable};
use super::key_file::KeyFile;
use super::section::{Located, Section};
use super::suggest;
use crate::meet::settings::Credentials;

/// The keys of the four kinds of credentials.
const KINDS: [&str; 4] = ["service_account_key", "client_secret", "application_default", "access_token_file"];

/// Reads the credentials of one `[[identity]]`. Those of a service account have no subject yet.
pub(super) fn read(section: &Section<'_>, files: &ReferencedFiles<'_>) -> Option<Credentials> {
    let key = files.path(section, "service_account_key");
    let secret = files.path(section, "client_secret");
    let store = files.path(section, "token_store");
    let default = section.flag("application_default");
    let token = files.path(section, "access_token_file");

    exactly_one_kind(section)?;
    if let (Some(store), false) = (&store, section.has("client_secret")) {
        store.problem("is used with `client_secret` only");
    }
    if let Some(key) = key {
        return service_account(&key, files);
    }
    if let Some(secret) = secret {
        return user_consent(section, &secret, store, files);
    }
    if let Some(token) = token {
        warn_unless_there(&token, "the program that creates the tokens has to write it");
        return Some(Credentials::AccessTokenFile(token.value));
    }
    application_default(&default?, files.environment)
}

fn exactly_one_kind(section: &Section<'_>) -> Option<()> {
    let all = suggest::list(&KINDS);
    match KINDS.iter().filter(|key| section.has(key)).count() {
        1 => return Some(()),
        0 => section.absent("", format!("has no credentials; set one of {all}")),
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
            section.absent(
                "token_store",
                "is missing; set it to the file that `meetwatch login` writes, which `client_secret` needs",
            );
        }
        return None;
    };
    warn_unless_there(&store, "create it with `meetwatch login`");
    Some(Credentials::UserConsent { client_secret: secret.value.clone(), token_store: store.value })
}

fn application_default(flag: &Located<'_, bool>, environment: &Environment) -> Option<Credentials> {
    if !flag.value {
        flag.problem("must be `true`; otherwise remove the key");
        return None;
    }
    let named = environment.google_application_credentials.clone();
    let gcloud = environment.gcloud_credentials.clone().filter(|path| path.exists());
    let Some(path) = named.or(gcloud) else {
        // There is neither file, so the machine's metadata server is used.
        return Some(Credentials::ApplicationDefault { file: None });
    };
    let file = flag.with(path);
    match files::read(&file.value).map(|text| KeyFile::recognize(&text)) {
        Ok(Ok(KeyFile::ServiceAccount | KeyFile::AuthorizedUser)) => {
            warn_if_world_readable(&file, &file.value);
            Some(Credentials::ApplicationDefault { file: Some(file.value) })
        }
        Ok(Ok(_)) => {
            file.problem(
                "the file of the application default credentials is neither a service account's key nor a user's; \
                 federated and impersonated credentials are not supported",
            );
            None
        }
        Ok(Err(message)) => {
            file.problem(format!("the file of the application default credentials {message}"));
            None
        }
        Err(error) => {
            file.problem(format!(
                "the file of the application default credentials {}",
                files::explain_io_error(&error)
            ));
            None
        }
    }
}

/// Recognizes a credentials file. Reports a problem if it cannot be read or is not JSON.
fn key_file(path: &Located<'_, PathBuf>, files: &ReferencedFiles<'_>) -> Option<KeyFile> {
    let text = files.contents(path)?;
    warn_if_world_readable(path, &path.value);
    KeyFile::recognize(&text.value).inspect_err(|message| path.problem(format!("the file {message}"))).ok()
}

/// Warns if a file does not exist yet.
fn warn_unless_there(path: &Located<'_, PathBuf>, remedy: &str) {
    match files::read(&path.value) {
        Ok(_) => warn_if_world_readable(path, &path.value),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            path.not_there(format!("the file does not exist yet; {remedy}"));
        }
        Err(error) => path.not_there(format!("the file {}", files::explain_io_error(&error))),
    }
}
