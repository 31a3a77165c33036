//! The headers that an operator adds to an endpoint's deliveries, such as `Authorization`.

use std::fmt;

use data_encoding::BASE64;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};

/// Headers of the connection or the body, which an operator cannot set.
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

/// Prefixes of the headers that meetwatch sets itself.
const OWN: [&str; 2] = ["webhook-", "meetwatch-"];

/// The limits of how many headers an endpoint can have, and of a value in bytes.
const MAX_HEADERS: usize = 32;
const MAX_HEADER_BYTES: usize = 4096;

/// The added headers. Their `Debug` form shows the names alone.
#[derive(Clone, Default)]
pub struct ExtraHeaders {
    headers: HeaderMap,
    /// The values that must not be shown, even where a receiver repeats them.
    secrets: Vec<SecretString>,
}

/// Why a header cannot be added. Never repeats the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadHeader {
    #[error("must be `Name: value`")]
    NoName,
    #[error("has a name or a value that is not allowed in an HTTP header")]
    NotAHeader,
    #[error("sets `{0}`, which meetwatch sets itself")]
    Reserved(String),
    #[error("sets `{0}`, which is set already")]
    Twice(String),
    #[error("exceeds the limit of {MAX_HEADERS} headers")]
    TooMany,
    #[error("must be visible ASCII characters without spaces")]
    BadToken,
    #[error("must be visible ASCII characters or spaces, without a colon")]
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

    /// Adds `Authorization` with a bearer token (RFC 6750).
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

    /// Adds `Authorization` with a user name and a password (RFC 7617).
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

    /// Returns all added headers.
    #[must_use]
    pub fn as_map(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the values that must not be shown.
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
    fn the_programs_own_headers_cannot_be_overridden() {
        for line in
            ["Webhook-Id: x", "webhook-signature: v1,x", "Content-Type: text/plain", "HOST: a", "Meetwatch-Previous: x"]
        {
            assert!(matches!(added(line), Err(BadHeader::Reserved(_))), "{line}");
        }
        assert_eq!(added("X-Api-Key: abc"), Ok(()));
    }

    #[test]
    fn a_malformed_header_is_refused_without_being_repeated() {
        for line in ["s3cret", "bad name: s3cret", "x: s3cret\r\ny: z", ": s3cret", "x: s3cret\0"] {
            let error = added(line).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
        assert_eq!(added(&format!("x: {}", "a".repeat(MAX_HEADER_BYTES + 1))), Err(BadHeader::NotAHeader));
    }

    #[test]
    fn authorization_can_be_set_once_and_is_never_shown() {
        let mut headers = ExtraHeaders::default();
        headers.add_basic("Aladdin", "open sesame").unwrap();
        assert_eq!(headers.as_map()[AUTHORIZATION], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(matches!(headers.add_bearer("abc"), Err(BadHeader::Twice(_))));
        assert!(matches!(headers.add_line("Authorization: Key abc"), Err(BadHeader::Twice(_))));
        assert_eq!(format!("{headers:?}"), r#"["authorization"]"#);
        assert!(!format!("{:?}", headers.as_map()).contains("QWxh"));
    }

    #[test]
    fn a_token_or_user_name_with_separators_is_refused() {
        assert_eq!(ExtraHeaders::default().add_bearer("a b"), Err(BadHeader::BadToken));
        assert_eq!(ExtraHeaders::default().add_basic("a:b", "c"), Err(BadHeader::BadUser));
    }
}
