//! Recognizes the JSON files that Google provides, without keeping their contents.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// The kinds of credentials files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyFile {
    ServiceAccount,
    /// The file that `gcloud auth application-default login` writes.
    AuthorizedUser,
    /// An OAuth client of an installed or a web application.
    Client,
    /// JSON that this program cannot use.
    Other,
}

#[derive(Deserialize)]
struct KeyFileFields {
    #[serde(rename = "type")]
    kind: Option<String>,
    client_email: Option<IgnoredAny>,
    private_key: Option<IgnoredAny>,
    refresh_token: Option<IgnoredAny>,
    installed: Option<IgnoredAny>,
    web: Option<IgnoredAny>,
}

impl KeyFile {
    /// Returns the kind of a file, or why it is not JSON, as the end of a sentence about the file. Never quotes the file.
    pub(super) fn recognize(text: &str) -> Result<Self, String> {
        let fields: KeyFileFields = match serde_json::from_str(text) {
            Ok(fields) => fields,
            Err(error) if error.is_data() => return Ok(Self::Other),
            // The position but not the message, which could quote the file.
            Err(error) => return Err(format!("is not JSON (line {}, column {})", error.line(), error.column())),
        };
        let service_account = fields.client_email.is_some() && fields.private_key.is_some();
        Ok(match fields.kind.as_deref() {
            Some("service_account") if service_account => Self::ServiceAccount,
            Some("authorized_user") if fields.refresh_token.is_some() => Self::AuthorizedUser,
            None if fields.installed.is_some() || fields.web.is_some() => Self::Client,
            _ => Self::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_file_is_recognized_and_a_truncated_one_is_not_json() {
        let of = |text| KeyFile::recognize(text);
        let key = r#"{"type": "service_account", "client_email": "a", "private_key": "b"}"#;
        assert_eq!(of(key), Ok(KeyFile::ServiceAccount));
        assert_eq!(of(r#"{"type": "service_account"}"#), Ok(KeyFile::Other));
        assert_eq!(of(r#"{"type": "authorized_user", "refresh_token": "r"}"#), Ok(KeyFile::AuthorizedUser));
        assert_eq!(of(r#"{"installed": {}}"#), Ok(KeyFile::Client));
        assert_eq!(of(r#"{"type": "external_account"}"#), Ok(KeyFile::Other));
        assert_eq!(of("[1]"), Ok(KeyFile::Other));
        assert_eq!(of(&key[..30]), Err("is not JSON (line 1, column 30)".to_owned()));
    }
}
