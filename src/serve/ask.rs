//! What a request asks for, judged: each parameter once, none unknown, all within bounds.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Deserialize;

use super::routes::refusal;
use crate::model::EndpointName;
use crate::store::{CommitError, StoreError};

/// How many rows a page has unless somebody asks for less or more.
const PAGE: usize = 100;

/// The most rows a page can have.
const MAX_PAGE: usize = 1000;

/// The parameters of a request that were not asked for yet.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn of(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The values of a parameter, in their order.
    pub(super) fn all(&mut self, name: &str) -> Vec<String> {
        let (found, left) = std::mem::take(&mut self.0).into_iter().partition(|(key, _)| key == name);
        self.0 = left;
        let found: Vec<(String, String)> = found;
        found.into_iter().map(|(_, value)| value).collect()
    }

    /// A parameter that is there once at most, as `parse` understands it. `expected` says what that would be.
    pub(super) fn one<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let values = self.all(name);
        match values.as_slice() {
            [] => Ok(None),
            [value] => parse(value).map(Some).ok_or_else(|| bad(format!("`{name}` must be {expected}"))),
            _ => Err(bad(format!("`{name}` is there more than once"))),
        }
    }

    pub(super) fn time(&mut self, name: &str) -> Result<Option<Timestamp>, Refusal> {
        self.one(name, "a time such as 2026-01-05T10:00:00Z", |text| text.parse().ok())
    }

    pub(super) fn endpoint(&mut self) -> Result<Option<EndpointName>, Refusal> {
        self.one("endpoint", "the name of a webhook", |text| EndpointName::parse(text).ok())
    }

    pub(super) fn limit(&mut self) -> Result<usize, Refusal> {
        let expected = format!("a number from 1 to {MAX_PAGE}");
        let limit = self.one("limit", &expected, |text| text.parse().ok().filter(|n| (1..=MAX_PAGE).contains(n)))?;
        Ok(limit.unwrap_or(PAGE))
    }

    /// Refuses what nobody asked for.
    pub(super) fn finish(self) -> Result<(), Refusal> {
        match self.0.first() {
            None => Ok(()),
            Some(_) => Err(bad("there is a parameter that this does not know")),
        }
    }
}

/// That nothing was asked for besides the path.
pub(super) struct NoParameters;

impl<S: Send + Sync> FromRequestParts<S> for NoParameters {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Parameters::of(&parts.uri).finish().map(|()| Self)
    }
}

/// The one part of a path that is no constant.
pub(super) struct Segment(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(text)| Self(text)).map_err(|_| bad("the path is not UTF-8"))
    }
}

/// An answer that says no.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    why: String,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        refusal(self.status, self.why)
    }
}

impl Refusal {
    pub(super) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }
}

pub(super) fn bad(why: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, why)
}

pub(super) fn missing(why: &'static str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, why)
}

/// The object that a body is, if it is one that was expected. An array of the fields in their order would be taken by serde, too.
pub(super) fn said<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Option<T> {
    body.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(body).ok())?
}

/// What somebody says who says nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Refuses what somebody says where nothing is to be said.
pub(super) fn nothing_said(body: &[u8]) -> Result<(), Refusal> {
    let nothing = body.is_empty() || said::<Nothing>(body).is_some();
    if nothing { Ok(()) } else { Err(bad("this takes no body")) }
}

pub(super) fn unreadable(error: &StoreError) -> Refusal {
    tracing::warn!("the store could not be read for a request: {error}");
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the store could not be read; see the log")
}

pub(super) fn unwritable(error: &CommitError) -> Refusal {
    tracing::warn!(reason = error.reason(), "the store could not be written for a request: {error}");
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the store could not be written; see the log")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Parameters {
        Parameters::of(&format!("/x?{query}").parse().unwrap())
    }

    #[test]
    fn each_parameter_is_judged_and_what_nobody_knows_is_refused() {
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
        assert_eq!(parameters("").limit().unwrap(), PAGE);
    }
}
