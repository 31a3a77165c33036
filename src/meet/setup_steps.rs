//! The steps that fix a failing setup: what to open, paste or run, with the client id, the project and the scopes of the
//! credentials at hand. They contain no secret and no address: only public fields of a credentials file are used.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::auth::{Scopes, files};
use super::error::{ReadError, Reason};
use super::request::GoogleApi;
use super::settings::{Credentials, IdentitySettings};

/// The page where an administrator allows a service account to act for the users of a domain.
const DELEGATION_PAGE: &str = "https://admin.google.com/ac/owl/domainwidedelegation";

/// `gcloud` refuses to log in without this scope.
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// One step: something to open, paste or run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetupStep {
    /// What to do: `open`, `client id`, `scopes` or `run`.
    pub what: &'static str,
    /// The text to copy: an address, an id, scopes or a command.
    pub paste: String,
}

impl fmt::Display for SetupStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.paste)
    }
}

/// Returns the steps that fix `error` of this identity at this API, in addition to the error's own remedy. Empty if the
/// remedy says everything. Reads the credentials files of the identity.
#[must_use]
pub fn steps(identity: &IdentitySettings, api: GoogleApi, error: &ReadError) -> Vec<SetupStep> {
    let step = |what, paste| SetupStep { what, paste };
    match (error.reason, &identity.credentials) {
        (Reason::ApiDisabled, credentials) => vec![step("open", library(api, project(credentials).as_deref()))],
        (Reason::Delegation | Reason::ScopeMissing, Credentials::ServiceAccount { key, subject: Some(_) }) => {
            let client = public_fields(key).client_id.map(|id| step("client id", id));
            let open = step("open", DELEGATION_PAGE.to_owned());
            [open].into_iter().chain(client).chain([step("scopes", scopes(identity).join(","))]).collect()
        }
        (Reason::ScopeMissing | Reason::Credentials, Credentials::UserConsent { client_secret, token_store })
            if error.remedy.contains("`meetwatch login") =>
        {
            vec![step("run", login(client_secret, token_store, identity.lookup_people))]
        }
        (Reason::Credentials, Credentials::UserConsent { client_secret, .. })
            if error.remedy.contains("trust this app") =>
        {
            let client = public_fields(client_secret).client_id.map(|id| step("client id", id));
            client.into_iter().chain([step("scopes", scopes(identity).join(","))]).collect()
        }
        (Reason::ScopeMissing, Credentials::ApplicationDefault { file: Some(_) }) => {
            let all = [scopes(identity), vec![CLOUD_PLATFORM]].concat().join(",");
            let command = format!("gcloud auth application-default login --client-id-file=CLIENT.json --scopes={all}");
            vec![step("run", command)]
        }
        (Reason::ScopeMissing, _) => vec![step("scopes", scopes(identity).join(","))],
        _ => Vec::new(),
    }
}

/// All scopes that the identity needs. Scopes entered in the Admin console replace those that were there, so the list has
/// to be complete.
fn scopes(identity: &IdentitySettings) -> Vec<&'static str> {
    let sets = if identity.lookup_people { &Scopes::ALL[..] } else { &[Scopes::Meet] };
    sets.iter().flat_map(|set| set.as_slice()).copied().collect()
}

/// The page on which an API is enabled, for the project of the credentials if it is known.
fn library(api: GoogleApi, project: Option<&str>) -> String {
    let service = match api {
        GoogleApi::Meet => "meet.googleapis.com",
        GoogleApi::People => "people.googleapis.com",
    };
    let page = format!("https://console.cloud.google.com/apis/library/{service}");
    project.map_or(page.clone(), |project| format!("{page}?project={project}"))
}

fn login(client_secret: &Path, token_store: &Path, people: bool) -> String {
    let people = if people { " --people" } else { "" };
    format!("meetwatch login --client-secret {} --token-store {}{people}", quoted(client_secret), quoted(token_store))
}

/// A path quoted for a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '@' | '+' | ':');
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn project(credentials: &Credentials) -> Option<String> {
    match credentials {
        Credentials::ServiceAccount { key: file, .. }
        | Credentials::UserConsent { client_secret: file, .. }
        | Credentials::ApplicationDefault { file: Some(file) } => public_fields(file).project_id,
        Credentials::ApplicationDefault { file: None } | Credentials::AccessTokenFile(_) => None,
    }
}

/// The fields of a credentials file that are not secret.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PublicFields {
    client_id: Option<String>,
    project_id: Option<String>,
    /// An OAuth client has its fields in here.
    installed: Option<Box<PublicFields>>,
}

/// Reads the public fields of a file. All are `None` if the file cannot be read, which the error says already.
fn public_fields(file: &Path) -> PublicFields {
    let read = files::read(file).ok().and_then(|bytes| serde_json::from_slice::<PublicFields>(&bytes).ok());
    let mut public_fields = read.unwrap_or_default();
    let PublicFields { client_id, project_id, .. } =
        public_fields.installed.take().map_or(public_fields, |installed| *installed);
    PublicFields {
        client_id: client_id.filter(|id| is_id(id)),
        project_id: project_id.filter(|id| is_id(id)),
        installed: None,
    }
}

/// Whether a text has the form of an id, so that it is neither a misplaced secret nor an escape sequence.
fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 100
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::IdentityName;

    fn identity(credentials: Credentials, lookup_people: bool) -> IdentitySettings {
        IdentitySettings { name: IdentityName::parse("me").unwrap(), credentials, lookup_people }
    }

    fn error(reason: Reason, remedy: &'static str) -> ReadError {
        ReadError {
            reason,
            attempted: "get a token",
            detail: String::new(),
            remedy,
            retry_after: None,
            used_up: None,
            requests: 0,
        }
    }

    fn shown(identity: &IdentitySettings, reason: Reason) -> Vec<String> {
        steps(identity, GoogleApi::Meet, &error(reason, "`meetwatch login`")).iter().map(SetupStep::to_string).collect()
    }

    #[test]
    fn the_steps_for_delegation_name_every_scope_and_the_client_of_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key.json");
        std::fs::write(&key, r#"{"client_id":"1048","project_id":"p-1","private_key":"hush"}"#).unwrap();
        let with = |subject: Option<&str>, people| {
            identity(Credentials::ServiceAccount { key: key.clone(), subject: subject.map(str::to_owned) }, people)
        };
        let meet = "https://www.googleapis.com/auth/meetings.space.readonly";
        let open = format!("open: {DELEGATION_PAGE}");
        let delegated = with(Some("ada@example.com"), false);
        assert_eq!(shown(&delegated, Reason::Delegation), [&open, "client id: 1048", &format!("scopes: {meet}")]);
        let all = shown(&with(Some("ada@example.com"), true), Reason::ScopeMissing);
        assert_eq!(all[2].matches(',').count(), 3, "{all:?}");
        assert_eq!(
            shown(&delegated, Reason::ApiDisabled),
            ["open: https://console.cloud.google.com/apis/library/meet.googleapis.com?project=p-1"]
        );
        assert_eq!(shown(&with(None, false), Reason::Delegation), [""; 0]);
    }

    #[test]
    fn a_login_command_is_quoted_for_a_shell() {
        let (client_secret, token_store) = ("/etc/a b.json".into(), "/var/it's".into());
        let me = identity(Credentials::UserConsent { client_secret, token_store }, true);
        assert_eq!(
            shown(&me, Reason::Credentials),
            [r"run: meetwatch login --client-secret '/etc/a b.json' --token-store '/var/it'\''s' --people"]
        );
        assert!(steps(&me, GoogleApi::Meet, &error(Reason::Credentials, "ask the administrator")).is_empty());
    }

    #[test]
    fn what_does_not_have_the_form_of_an_id_is_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("client.json");
        for (content, expected) in [
            (r#"{"installed":{"client_id":"1-a.apps.googleusercontent.com","client_secret":"s"}}"#, true),
            (r#"{"client_id":"GOCSPX-Secret"}"#, false),
            (r#"{"client_id":"ada@example.com"}"#, false),
            (r#"{"client_id":"\u001b[2J"}"#, false),
            (r#"{"client_id":5}"#, false),
            ("no json", false),
        ] {
            std::fs::write(&file, content).unwrap();
            assert_eq!(public_fields(&file).client_id.is_some(), expected, "{content}");
        }
    }
}
