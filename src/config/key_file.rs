//! Recognizing the JSON files that Google hands out, without keeping anything of them.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// What a file of credentials is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyFile {
    ServiceAccount,
    /// What `gcloud auth application-default login` leaves.
    AuthorizedUser,
    /// An OAuth client of an installed or a web application.
    Client,
    /// JSON, and nothing this program can use.
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
    /// What the text is, or why it is not JSON, as the end of a sentence about the file. Never quotes it.
    pub(super) fn recognize(text: &str) -> Result<Self, String> {
        let fields: KeyFileFields = match serde_json::from_str(text) {
            Ok(fields) => fields,
            Err(error) if error.is_data() => return Ok(Self::Other),
            // Where, but not what: the message could quote the file.
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
    fn each_kind_of_file_is_recognized_and_a_cut_one_is_not_taken_for_json() {
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
