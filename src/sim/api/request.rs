//! The parts of a request that the API reads.

use percent_encoding::percent_decode_str;

/// One HTTP request, without a socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// The path's segments, decoded.
    pub segments: Vec<String>,
    /// The query, decoded; `+` and `%20` are spaces.
    pub query: Vec<(String, String)>,
    /// The header `Authorization`.
    pub authorization: Option<String>,
    /// The header `X-Goog-FieldMask`.
    pub field_mask: Option<String>,
    pub body: Vec<u8>,
}

impl Request {
    /// Creates a request for a target such as `/v2/conferenceRecords?pageSize=1`.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let decoded = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
        Self {
            method: method.to_owned(),
            segments: path.trim_start_matches('/').split('/').map(decoded).collect(),
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            ..Self::default()
        }
    }

    /// Creates a `GET` request.
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// Adds an access token.
    #[cfg(test)]
    pub(super) fn with_token(self, token: &str) -> Self {
        Self { authorization: Some(format!("Bearer {token}")), ..self }
    }

    /// Returns the access token, from the header or the query.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        let header = self.authorization.as_deref().and_then(|header| header.split_once(' '));
        let bearer = header.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
        bearer.or_else(|| self.parameter("access_token")).filter(|token| !token.is_empty())
    }

    /// Returns a parameter of the query; if it is given several times, the last one.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns the body as form fields.
    pub(super) fn form(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(&self.body).into_owned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_space_is_a_plus_or_percent_encoded() {
        for target in ["/v2/a%3Ab?filter=end_time+IS+NULL", "/v2/a:b?filter=end_time%20IS%20NULL"] {
            let request = Request::get(target);
            assert_eq!(request.segments, ["v2", "a:b"]);
            assert_eq!(request.parameter("filter"), Some("end_time IS NULL"));
        }
    }

    #[test]
    fn the_token_is_read_from_the_header_or_the_query() {
        assert_eq!(Request::get("/?access_token=t").token(), Some("t"));
        assert_eq!(Request::get("/").with_token("h").token(), Some("h"));
        let basic = Request { authorization: Some("Basic eDp5".into()), ..Request::get("/") };
        assert_eq!(basic.token(), None);
    }
}
