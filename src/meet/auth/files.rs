//! Credentials files: read up to a limit, checked for their kind, and never quoted in an error.

use std::io;
use std::path::Path;

use serde::Deserialize;

use super::private_key;
use crate::meet::error::Reason;
use crate::meet::failure::Failure;
use crate::open_files;

/// The cap on a credentials file.
const MAX_BYTES: u64 = 64 << 10;

const MISSING: &str = "put the file at the path that the configuration names, or correct the path";
const FORBIDDEN: &str = "make the file readable for the user that meetwatch runs as, and for nobody else";
const UNREADABLE: &str = "check that the path leads to a regular file that can be read";
const NOT_JSON: &str = "download the file again: it is not the JSON that Google provides";
const NOT_A_KEY: &str = "use the JSON key of a service account (Cloud console, IAM, Service accounts, Keys)";
const CLIENT_FOR_KEY: &str =
    "this is an OAuth client: set it as `client_secret` with a `token_store`, or use a service account's key";
const NOT_A_CLIENT: &str =
    "use the JSON of an OAuth client of type `Desktop app` (Cloud console, APIs & Services, Credentials)";
const NOT_DEFAULT: &str = "application default credentials must be a service account's key or a user's own \
     (`gcloud auth application-default login`); external and impersonated accounts are not supported";

/// An OAuth client of type desktop app, with the fields that are used.
#[derive(Clone, Deserialize)]
pub struct ClientSecret {
    pub client_id: String,
    pub client_secret: String,
    #[serde(default = "google_auth_uri")]
    pub auth_uri: String,
    #[serde(default = "google_token_uri")]
    pub token_uri: String,
}

impl std::fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientSecret").finish_non_exhaustive()
    }
}

/// Application default credentials of a user.
#[derive(Deserialize)]
pub(super) struct AuthorizedUser {
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) refresh_token: String,
    #[serde(default = "google_token_uri")]
    pub(super) token_uri: String,
}

/// The kinds of application default credentials that are supported.
pub(super) enum DefaultFile {
    Key(Box<yup_oauth2::ServiceAccountKey>),
    User(AuthorizedUser),
}

/// The fields that distinguish one kind of file from another.
#[derive(Deserialize, Default)]
#[serde(default)]
struct CredentialsType {
    #[serde(rename = "type")]
    name: String,
    installed: Option<ClientSecret>,
    web: Option<serde::de::IgnoredAny>,
}

/// Reads a file that holds a secret.
///
/// # Errors
/// `credentials`, with a remedy for each reason why a file cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = || -> io::Result<Vec<u8>> {
        let file = std::fs::File::open(path)?;
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(file, MAX_BYTES + 1), &mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > MAX_BYTES {
        let detail = "the credentials file is larger than 64 KiB";
        return Err(Failure::new(Reason::Credentials, detail, UNREADABLE));
    }
    Ok(bytes)
}

/// Returns the failure for a file that could not be read.
fn unreadable(error: &io::Error) -> Failure {
    let (detail, remedy) = match error.kind() {
        _ if open_files::are_exhausted(error) => {
            ("the credentials file cannot be opened: too many open files (EMFILE)", open_files::REMEDY)
        }
        io::ErrorKind::NotFound => ("the credentials file does not exist", MISSING),
        io::ErrorKind::PermissionDenied => ("the credentials file may not be read by this user", FORBIDDEN),
        _ => ("the credentials file cannot be read", UNREADABLE),
    };
    Failure::new(Reason::Credentials, detail, remedy)
}

/// Parses the key of a service account.
pub(super) fn parse_key(bytes: &[u8]) -> Result<yup_oauth2::ServiceAccountKey, Failure> {
    let kind = kind(bytes)?;
    if kind.installed.is_some() || kind.web.is_some() {
        return Err(Failure::new(
            Reason::Credentials,
            "the credentials file is an OAuth client, not a service account key",
            CLIENT_FOR_KEY,
        ));
    }
    let not_a_key =
        || Failure::new(Reason::Credentials, "the credentials file is not a service account key", NOT_A_KEY);
    let mut key: yup_oauth2::ServiceAccountKey = serde_json::from_slice(bytes).map_err(|_| not_a_key())?;
    key.private_key = private_key::with_line_breaks(&key.private_key).into_owned();
    // yup-oauth2 panics if the address is invalid.
    let http = key.token_uri.starts_with("https://") || key.token_uri.starts_with("http://");
    let parses = key.token_uri.parse::<hyper::Uri>().is_ok_and(|uri| uri.host().is_some());
    if http && parses { Ok(key) } else { Err(not_a_key()) }
}

/// Parses an OAuth client.
///
/// # Errors
/// `credentials` if the bytes are not JSON or not a client of type desktop app.
pub fn parse_client(bytes: &[u8]) -> Result<ClientSecret, Failure> {
    let not_a_client = || {
        Failure::new(
            Reason::Credentials,
            "the credentials file is not an OAuth client of type desktop app",
            NOT_A_CLIENT,
        )
    };
    kind(bytes)?.installed.ok_or_else(not_a_client)
}

/// Parses application default credentials.
pub(super) fn parse_default(bytes: &[u8]) -> Result<DefaultFile, Failure> {
    let unsupported = || {
        Failure::new(Reason::Credentials, "the application default credentials are of an unsupported kind", NOT_DEFAULT)
    };
    match kind(bytes)?.name.as_str() {
        "service_account" => Ok(DefaultFile::Key(Box::new(parse_key(bytes)?))),
        "authorized_user" => Ok(DefaultFile::User(serde_json::from_slice(bytes).map_err(|_| unsupported())?)),
        _ => Err(unsupported()),
    }
}

fn kind(bytes: &[u8]) -> Result<CredentialsType, Failure> {
    let not_json = || Failure::new(Reason::Credentials, "the credentials file is not JSON", NOT_JSON);
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|_| not_json())?;
    // JSON with fields of other types is of no known kind, but it is JSON.
    Ok(CredentialsType::deserialize(value).unwrap_or_default())
}

fn google_auth_uri() -> String {
    "https://accounts.google.com/o/oauth2/v2/auth".to_owned()
}

fn google_token_uri() -> String {
    "https://oauth2.googleapis.com/token".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_no_more_files_can_be_opened_is_named_with_its_remedy() {
        let failure = unreadable(&io::Error::from_raw_os_error(24));
        assert!(failure.detail.contains("too many open files (EMFILE)"), "{}", failure.detail);
        assert!(failure.remedy.contains("LimitNOFILE"), "{}", failure.remedy);
    }

    const CLIENT: &str = r#"{"installed":{"client_id":"c","client_secret":"s","token_uri":"http://127.0.0.1:1/t"}}"#;

    #[test]
    fn a_file_of_the_wrong_kind_says_which_one_is_needed() {
        for (bytes, remedy) in [
            ("not json", NOT_JSON),
            ("", NOT_JSON),
            ("[]", NOT_A_KEY),
            (r#"{"type":"authorized_user"}"#, NOT_A_KEY),
            (CLIENT, CLIENT_FOR_KEY),
            (r#"{"private_key":"k","client_email":"e","token_uri":"not an address"}"#, NOT_A_KEY),
            (r#"{"private_key":"k","client_email":"e","token_uri":"http://"}"#, NOT_A_KEY),
        ] {
            let failure = parse_key(bytes.as_bytes()).unwrap_err();
            assert_eq!((failure.reason, failure.remedy), (Reason::Credentials, remedy), "{bytes}");
        }
        assert!(parse_key(br#"{"private_key":"k","client_email":"e","token_uri":"http://127.0.0.1:1/t"}"#).is_ok());
    }

    #[test]
    fn a_client_must_be_a_desktop_app() {
        assert_eq!(parse_client(CLIENT.as_bytes()).unwrap().auth_uri, google_auth_uri());
        for bytes in ["{}", r#"{"web":{"client_id":"c","client_secret":"s"}}"#, r#"{"installed":{}}"#] {
            assert_eq!(parse_client(bytes.as_bytes()).unwrap_err().remedy, NOT_A_CLIENT, "{bytes}");
        }
    }

    #[test]
    fn default_credentials_may_be_a_users_but_not_external_or_impersonated() {
        let user = br#"{"type":"authorized_user","client_id":"c","client_secret":"s","refresh_token":"r"}"#;
        assert!(matches!(parse_default(user), Ok(DefaultFile::User(_))));
        for exotic in [r#"{"type":"external_account"}"#, r#"{"type":"impersonated_service_account"}"#, "{}"] {
            assert_eq!(parse_default(exotic.as_bytes()).err().map(|failure| failure.remedy), Some(NOT_DEFAULT));
        }
    }

    #[test]
    fn a_secret_does_not_show_in_debug_form() {
        assert_eq!(format!("{:?}", parse_client(CLIENT.as_bytes()).unwrap()), "ClientSecret { .. }");
    }

    #[test]
    fn a_missing_or_oversized_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(&folder.path().join("none")).unwrap_err().remedy, MISSING);
        let large = folder.path().join("large");
        std::fs::write(&large, vec![b' '; 70_000]).unwrap();
        assert_eq!(read(&large).unwrap_err().detail, "the credentials file is larger than 64 KiB");
        assert_eq!(read(folder.path()).unwrap_err().remedy, UNREADABLE);
    }
}
