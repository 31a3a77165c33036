//! Extractors: turn the query, the path and the body of a request into values within their bounds, or into a [`Refusal`].
//!
//! Parsing is strict: a parameter may occur once, and unknown parameters and fields are refused.

use axum::extract::{FromRequestParts, Path};
use axum::http::Uri;
use axum::http::request::Parts;
use jiff::Timestamp;
use serde::Deserialize;

use super::refusal::Refusal;
use crate::model::{ConferenceName, EndpointName, MeetingCode, TargetName};
use crate::store::ConferenceSelector;

/// The default number of rows on a page.
const DEFAULT_LIMIT: usize = 100;

/// The largest number of rows on a page.
pub(super) const MAX_LIMIT: usize = 1000;

/// The longest name of a parameter that a refusal repeats, in bytes.
const MAX_REPEATED_NAME: usize = 32;

/// The query parameters that no handler has taken yet.
pub(super) struct QueryParameters {
    left: Vec<(String, String)>,
    /// The names that the handler asked for.
    known: Vec<&'static str>,
}

impl QueryParameters {
    pub(super) fn of(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        Self { left: form_urlencoded::parse(query.as_bytes()).into_owned().collect(), known: Vec::new() }
    }

    /// Takes all values of a parameter, in their order.
    pub(super) fn all(&mut self, name: &'static str) -> Vec<String> {
        self.known.push(name);
        let (found, left) = std::mem::take(&mut self.left).into_iter().partition(|(key, _)| key == name);
        self.left = left;
        let found: Vec<(String, String)> = found;
        found.into_iter().map(|(_, value)| value).collect()
    }

    /// Takes a parameter that may occur once. `expected` completes the sentence "`name` must be …".
    ///
    /// # Errors
    /// 400 if it occurs more than once or `parse` does not accept it.
    pub(super) fn one<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let values = self.all(name);
        match values.as_slice() {
            [] => Ok(None),
            [value] => {
                parse(value).map(Some).ok_or_else(|| Refusal::bad_request(format!("`{name}` must be {expected}")))
            }
            _ => Err(Refusal::bad_request(format!("`{name}` is given more than once"))),
        }
    }

    pub(super) fn time(&mut self, name: &'static str) -> Result<Option<Timestamp>, Refusal> {
        self.one(name, "a time such as 2026-01-05T10:00:00Z", |text| text.parse().ok())
    }

    pub(super) fn endpoint(&mut self) -> Result<Option<EndpointName>, Refusal> {
        self.one("endpoint", "the name of an endpoint", |text| EndpointName::parse(text).ok())
    }

    pub(super) fn target(&mut self) -> Result<Option<TargetName>, Refusal> {
        self.one("target", "the name of a target", |text| TargetName::parse(text).ok())
    }

    pub(super) fn conference(&mut self) -> Result<Option<ConferenceSelector>, Refusal> {
        self.one("conference", "conferenceRecords/{id} or a meeting code such as abc-mnop-xyz", |text| {
            let name = ConferenceName::parse(text).map(ConferenceSelector::Name);
            name.or_else(|_| MeetingCode::parse(text).map(ConferenceSelector::Code)).ok()
        })
    }

    pub(super) fn limit(&mut self) -> Result<usize, Refusal> {
        let expected = format!("a number from 1 to {MAX_LIMIT}");
        let limit = self.one("limit", &expected, |text| text.parse().ok().filter(|n| (1..=MAX_LIMIT).contains(n)))?;
        Ok(limit.unwrap_or(DEFAULT_LIMIT))
    }

    /// Refuses the request if a parameter is left that no handler has taken.
    pub(super) fn finish(self) -> Result<(), Refusal> {
        let Some((name, _)) = self.left.first() else { return Ok(()) };
        // The client chose the name, too: repeat it only if it looks like one.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        let repeated = (1..=MAX_REPEATED_NAME).contains(&name.len()) && name.bytes().all(plain);
        let name = if repeated { format!(" `{name}`") } else { String::new() };
        let known = match self.known.as_slice() {
            [] => "this path takes none".to_owned(),
            known => format!("known: `{}`", known.join("`, `")),
        };
        Err(Refusal::bad_request(format!("unknown query parameter{name}; {known}")))
    }
}

/// Refuses a request that has query parameters.
pub(super) struct NoParameters;

impl<S: Send + Sync> FromRequestParts<S> for NoParameters {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        QueryParameters::of(&parts.uri).finish().map(|()| Self)
    }
}

/// The one variable segment of a path.
pub(super) struct PathSegment(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for PathSegment {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(text)| Self(text)).map_err(|_| Refusal::bad_request("the path is not valid UTF-8"))
    }
}

/// Parses a body that must be a JSON object of this shape. Refuses an array of the fields in order, which serde would
/// accept.
pub(super) fn json_object<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Option<T> {
    body.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(body).ok())?
}

/// `{}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmptyObject {}

/// Refuses a body that is neither empty nor `{}`.
pub(super) fn no_body(body: &[u8]) -> Result<(), Refusal> {
    let empty = body.is_empty() || json_object::<EmptyObject>(body).is_some();
    if empty { Ok(()) } else { Err(Refusal::bad_request("this request takes no body")) }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use axum::response::IntoResponse as _;

    use super::*;

    fn parameters(query: &str) -> QueryParameters {
        QueryParameters::of(&format!("/x?{query}").parse().unwrap())
    }

    async fn message(refusal: Refusal) -> String {
        let body = to_bytes(refusal.into_response().into_body(), 1024).await.unwrap();
        serde_json::from_slice::<serde_json::Value>(&body).unwrap()["error"].as_str().unwrap().to_owned()
    }

    #[test]
    fn each_parameter_is_checked_and_an_unknown_one_is_refused() {
        let mut known = parameters("limit=7&from=2026-01-05T10%3A00%3A00Z&state=dead&state=done");
        assert_eq!(known.limit().unwrap(), 7);
        assert!(known.time("from").unwrap().is_some());
        assert_eq!(known.all("state"), ["dead", "done"]);
        assert!(known.finish().is_ok());
        assert!(parameters("limt=7").finish().is_err());
        for bad in ["limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "limit="] {
            assert!(parameters(bad).limit().is_err(), "{bad}");
        }
        assert!(parameters("from=yesterday").time("from").is_err());
        assert_eq!(parameters("").limit().unwrap(), DEFAULT_LIMIT);
    }

    #[tokio::test]
    async fn the_refusal_of_an_unknown_parameter_names_it_but_repeats_no_value() {
        let mut query = parameters("limt=secret");
        query.limit().unwrap();
        query.endpoint().unwrap();
        let refused = message(query.finish().unwrap_err()).await;
        assert_eq!(refused, "unknown query parameter `limt`; known: `limit`, `endpoint`");
        for odd in ["%3Cb%3E=1", "=1", &"a".repeat(43)] {
            let refused = message(parameters(odd).finish().unwrap_err()).await;
            assert_eq!(refused, "unknown query parameter; this path takes none", "{odd}");
        }
    }
}
