//! The headers that an operator adds to an endpoint's deliveries: who meetwatch is there, and whatever else it wants.

use std::fmt;

use data_encoding::BASE64;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};

/// Headers that belong to the connection or the body, and that nobody else may set.
const RESERVED: [&str; 12] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Beginnings of names that are the program's own.
const OWN: [&str; 2] = ["webhook-", "meetwatch-"];

/// The most headers an endpoint can have, and the longest one, in bytes.
const MAX_HEADERS: usize = 32;
const MAX_HEADER_BYTES: usize = 4096;

/// Fixed headers. Their `Debug` form shows the names alone.
#[derive(Clone, Default)]
pub struct ExtraHeaders {
    headers: HeaderMap,
    /// What must not be repeated, such as where an answer quotes it.
    secrets: Vec<SecretString>,
}

/// Why a header cannot be added. Never repeats its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadHeader {
    #[error("must be `Name: value`")]
    NoName,
    #[error("has a name or a value that no HTTP header can have")]
    NotAHeader,
    #[error("sets `{0}`, which meetwatch sets itself")]
    Reserved(String),
    #[error("sets `{0}`, which is set already")]
    Twice(String),
    #[error("is one too many; {MAX_HEADERS} can be set")]
    TooMany,
    #[error("must be letters, digits and signs of ASCII, without spaces")]
    BadToken,
    #[error("must not hold a colon or anything but visible ASCII")]
    BadUser,
}

impl fmt::Debug for ExtraHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.headers.keys()).finish()
    }
}

impl ExtraHeaders {
    /// Adds `Name: value`.
    ///
    /// # Errors
    /// [`BadHeader`]
    pub fn add_line(&mut self, line: &str) -> Result<(), BadHeader> {
        let (name, value) = line.split_once(':').ok_or(BadHeader::NoName)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| BadHeader::NotAHeader)?;
        if RESERVED.contains(&name.as_str()) || OWN.iter().any(|own| name.as_str().starts_with(own)) {
            return Err(BadHeader::Reserved(name.to_string()));
        }
        let value = value.trim();
        self.secrets.push(SecretString::from(value));
        self.add(name, value)
    }

    /// Authorizes with a bearer token.
    ///
    /// # Errors
    /// [`BadHeader`]
    pub fn add_bearer(&mut self, token: &str) -> Result<(), BadHeader> {
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(BadHeader::BadToken);
        }
        self.secrets.push(SecretString::from(token));
        self.add(AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// Authorizes with a name and a password (RFC 7617).
    ///
    /// # Errors
    /// [`BadHeader`]
    pub fn add_basic(&mut self, user: &str, password: &str) -> Result<(), BadHeader> {
        if user.contains(':') || user.is_empty() || !user.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
            return Err(BadHeader::BadUser);
        }
        let both = BASE64.encode(format!("{user}:{password}").as_bytes());
        self.secrets.extend([SecretString::from(password), SecretString::from(both.as_str())]);
        self.add(AUTHORIZATION, &format!("Basic {both}"))
    }

    fn add(&mut self, name: HeaderName, value: &str) -> Result<(), BadHeader> {
        let mut value = HeaderValue::from_str(value).map_err(|_| BadHeader::NotAHeader)?;
        if value.len() > MAX_HEADER_BYTES {
            return Err(BadHeader::NotAHeader);
        }
        value.set_sensitive(true);
        if self.headers.len() >= MAX_HEADERS {
            return Err(BadHeader::TooMany);
        }
        if self.headers.contains_key(&name) {
            return Err(BadHeader::Twice(name.to_string()));
        }
        self.headers.insert(name, value);
        Ok(())
    }

    /// All of them.
    #[must_use]
    pub fn as_map(&self) -> &HeaderMap {
        &self.headers
    }

    /// What of them must not be repeated.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().map(SecretString::expose_secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(line: &str) -> Result<(), BadHeader> {
        ExtraHeaders::default().add_line(line)
    }

    #[test]
    fn what_the_program_sets_itself_cannot_be_overridden() {
        for line in
            ["Webhook-Id: x", "webhook-signature: v1,x", "Content-Type: text/plain", "HOST: a", "Meetwatch-Previous: x"]
        {
            assert!(matches!(added(line), Err(BadHeader::Reserved(_))), "{line}");
        }
        assert_eq!(added("X-Api-Key: abc"), Ok(()));
    }

    #[test]
    fn what_is_no_header_is_refused_without_being_repeated() {
        for line in ["s3cret", "bad name: s3cret", "x: s3cret\r\ny: z", ": s3cret", "x: s3cret\0"] {
            let error = added(line).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
        assert_eq!(added(&format!("x: {}", "a".repeat(MAX_HEADER_BYTES + 1))), Err(BadHeader::NotAHeader));
    }

    #[test]
    fn authorization_is_there_once_and_never_shown() {
        let mut headers = ExtraHeaders::default();
        headers.add_basic("Aladdin", "open sesame").unwrap();
        assert_eq!(headers.as_map()[AUTHORIZATION], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(matches!(headers.add_bearer("abc"), Err(BadHeader::Twice(_))));
        assert!(matches!(headers.add_line("Authorization: Key abc"), Err(BadHeader::Twice(_))));
        assert_eq!(format!("{headers:?}"), r#"["authorization"]"#);
        assert!(!format!("{:?}", headers.as_map()).contains("QWxh"));
    }

    #[test]
    fn a_token_or_user_that_could_end_the_header_is_refused() {
        assert_eq!(ExtraHeaders::default().add_bearer("a b"), Err(BadHeader::BadToken));
        assert_eq!(ExtraHeaders::default().add_basic("a:b", "c"), Err(BadHeader::BadUser));
    }
}
