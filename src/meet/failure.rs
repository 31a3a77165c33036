//! Classifies an error response: from its status and Google's error body to a [`Reason`] and a remedy for the operator.
//!
//! Google's message is dropped, because it may quote a person or a project. Its `status` and `reason` are kept: both come
//! from fixed vocabularies, and what contains any other character is dropped.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE};

use super::error::{ReadError, Reason};
use super::quota_scope::QuotaScope;
use super::repair::repaired;
use super::request::{GoogleApi, InvalidUrl, Method};
use super::wire::{ErrorBody, ErrorDetail, ErrorStatus};
use super::{remedy, response_hints};

/// Why something failed, before it is known what was attempted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub reason: Reason,
    /// What happened, in this program's words: never text that Google sent.
    pub detail: Cow<'static, str>,
    /// What the operator has to do. Empty if waiting is enough.
    pub remedy: &'static str,
    /// How long Google asks to wait, clamped.
    pub retry_after: Option<Duration>,
    /// Whose quota is used up, if Google says that one is.
    pub used_up: Option<QuotaScope>,
}

impl Failure {
    /// A failure without a wait or a quota.
    pub(super) fn new(reason: Reason, detail: impl Into<Cow<'static, str>>, remedy: &'static str) -> Self {
        Self { reason, detail: detail.into(), remedy, retry_after: None, used_up: None }
    }

    /// A response that is not what the API documents.
    pub(super) fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Reason::Malformed, detail, remedy::MALFORMED)
    }

    /// The error of a read that failed because of this.
    pub(super) fn during(self, method: Method) -> ReadError {
        ReadError {
            reason: self.reason,
            attempted: method.attempted(),
            detail: self.detail.into_owned(),
            remedy: self.remedy,
            retry_after: self.retry_after,
            used_up: self.used_up,
            requests: 0,
        }
    }
}

impl From<InvalidUrl> for Failure {
    fn from(invalid: InvalidUrl) -> Self {
        Self::new(Reason::BadRequest, invalid.to_string(), "correct `endpoint` or `people_endpoint` under `[google]`")
    }
}

/// Returns what a response other than 2xx means.
///
/// 403 and 404 mean lost access or a missing resource only if the body is in Google's error format: a proxy's error page
/// must not look like lost access.
#[must_use]
pub fn classify(api: GoogleApi, status: StatusCode, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Failure {
    let parsed = serde_json::from_slice::<ErrorBody>(body).or_else(|_| serde_json::from_str(&repaired(body)));
    let error = parsed.ok().map(|body| body.error);
    let reason_given = error.as_ref().map_or("", |error| info(error).0);
    let google_status = error.as_ref().map_or("", |error| error.status.as_str());
    let reason = reason(status, google_status, reason_given, headers, is_googles(error.as_ref()));
    let mut failure = Failure::new(reason, detail(status, google_status, reason_given), remedy::of(reason, api));
    failure.retry_after = hint(headers, error.as_ref(), now);
    failure.used_up = (reason == Reason::Throttled).then(|| scope(error.as_ref()));
    failure
}

fn reason(status: StatusCode, google: &str, info: &str, headers: &HeaderMap, is_googles: bool) -> Reason {
    match status.as_u16() {
        401 => Reason::Unauthenticated,
        408 => Reason::Timeout,
        429 => Reason::Throttled,
        500..=599 => Reason::Server,
        300..=399 => Reason::Malformed,
        403 if is_throttled(google, info) => Reason::Throttled,
        403 if lacks_scope(info, headers) => Reason::ScopeMissing,
        403 if is_disabled(info) => Reason::ApiDisabled,
        _ if !is_googles => Reason::Malformed,
        403 => Reason::NoAccess,
        404 => Reason::NotFound,
        409 if google == "ABORTED" => Reason::Server,
        _ if is_throttled(google, info) => Reason::Throttled,
        _ => Reason::BadRequest,
    }
}

/// Whether the body is in Google's error format.
fn is_googles(error: Option<&ErrorStatus>) -> bool {
    error.is_some_and(|error| error.code != 0 || !error.status.is_empty())
}

fn is_throttled(status: &str, info: &str) -> bool {
    status == "RESOURCE_EXHAUSTED" || matches!(info, "RATE_LIMIT_EXCEEDED" | "RESOURCE_QUOTA_EXCEEDED")
}

fn lacks_scope(info: &str, headers: &HeaderMap) -> bool {
    let challenge = headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    info == "ACCESS_TOKEN_SCOPE_INSUFFICIENT" || challenge.contains("insufficient_scope")
}

/// Whether the project may not use the API at all (`google.api.ErrorReason`).
fn is_disabled(info: &str) -> bool {
    matches!(
        info,
        "SERVICE_DISABLED" | "BILLING_DISABLED" | "CONSUMER_INVALID" | "CONSUMER_SUSPENDED" | "USER_PROJECT_DENIED"
    )
}

/// The reason in `ErrorInfo`, and the quota limit that it names.
fn info(error: &ErrorStatus) -> (&str, Option<&str>) {
    let found = error.details.iter().find_map(|detail| match detail {
        ErrorDetail::ErrorInfo { reason, metadata, .. } => {
            Some((reason.as_str(), metadata.get("quota_limit").map(String::as_str)))
        }
        _ => None,
    });
    found.unwrap_or_default()
}

/// The quota that is used up: the user's, unless Google names one of the project.
fn scope(error: Option<&ErrorStatus>) -> QuotaScope {
    let limit = error.and_then(|error| info(error).1).unwrap_or_default();
    if limit.contains("PerProject") && !limit.contains("PerUser") { QuotaScope::Project } else { QuotaScope::User }
}

/// The longer of the waits that the header and the body ask for.
fn hint(headers: &HeaderMap, error: Option<&ErrorStatus>, now: Timestamp) -> Option<Duration> {
    let header = headers.get(RETRY_AFTER).and_then(|value| response_hints::retry_after(value.to_str().ok()?, now));
    let details = error.into_iter().flat_map(|error| &error.details);
    let body = details.filter_map(|detail| match detail {
        ErrorDetail::RetryInfo { retry_delay } => response_hints::retry_delay(retry_delay),
        _ => None,
    });
    header.into_iter().chain(body).max()
}

fn detail(status: StatusCode, google: &str, info: &str) -> String {
    let mut detail = format!("HTTP {}", status.as_u16());
    for word in [google, info] {
        if is_vocabulary(word) {
            detail.push(' ');
            detail.push_str(word);
        }
    }
    detail
}

/// Whether a word has the form of Google's constants, so that it cannot be a name.
fn is_vocabulary(word: &str) -> bool {
    !word.is_empty()
        && word.len() <= 64
        && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classified(status: u16, body: &str) -> Failure {
        let status = StatusCode::from_u16(status).unwrap();
        classify(GoogleApi::Meet, status, &HeaderMap::new(), body.as_bytes(), Timestamp::UNIX_EPOCH)
    }

    fn error(code: u16, status: &str, reason: &str) -> String {
        format!(
            r#"{{"error":{{"code":{code},"message":"ada@example.com may not","status":"{status}","details":[
                {{"@type":"type.googleapis.com/google.rpc.Help","links":[]}},
                {{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"{reason}","domain":"googleapis.com"}}]}}}}"#
        )
    }

    #[test]
    fn the_three_meanings_of_403_are_told_apart() {
        for (reason, expected) in [
            ("SERVICE_DISABLED", Reason::ApiDisabled),
            ("ACCESS_TOKEN_SCOPE_INSUFFICIENT", Reason::ScopeMissing),
            ("", Reason::NoAccess),
            ("SOMETHING_NEW", Reason::NoAccess),
            ("RATE_LIMIT_EXCEEDED", Reason::Throttled),
        ] {
            let failure = classified(403, &error(403, "PERMISSION_DENIED", reason));
            assert_eq!(failure.reason, expected, "{reason}");
            assert!(!failure.remedy.is_empty() || expected == Reason::Throttled);
            assert!(!failure.detail.contains("ada"), "{}", failure.detail);
        }
    }

    #[test]
    fn each_status_has_its_reason() {
        for (status, google, expected) in [
            (400, "INVALID_ARGUMENT", Reason::BadRequest),
            (401, "UNAUTHENTICATED", Reason::Unauthenticated),
            (404, "NOT_FOUND", Reason::NotFound),
            (409, "ABORTED", Reason::Server),
            (429, "RESOURCE_EXHAUSTED", Reason::Throttled),
            (500, "INTERNAL", Reason::Server),
            (503, "UNAVAILABLE", Reason::Server),
        ] {
            assert_eq!(classified(status, &error(status, google, "")).reason, expected, "{status}");
        }
    }

    #[test]
    fn an_error_page_of_a_proxy_is_not_lost_access() {
        for body in ["<html>blocked</html>", "", "{}", r#"{"error":"forbidden"}"#] {
            assert_eq!(classified(403, body).reason, Reason::Malformed, "{body}");
            assert_eq!(classified(404, body).reason, Reason::Malformed, "{body}");
            assert_eq!(classified(502, body).reason, Reason::Server, "{body}");
            assert_eq!(classified(429, body).reason, Reason::Throttled, "{body}");
        }
        assert_eq!(classified(302, "").reason, Reason::Malformed);
    }

    #[test]
    fn the_longer_of_two_hints_holds() {
        let body = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[
            {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"12s"}]}}"#;
        let headers = |after: &'static str| HeaderMap::from_iter([(RETRY_AFTER, after.parse().unwrap())]);
        let status = StatusCode::TOO_MANY_REQUESTS;
        let now = Timestamp::UNIX_EPOCH;
        for (after, expected) in [("5", 12), ("20", 20), ("soon", 12)] {
            let failure = classify(GoogleApi::Meet, status, &headers(after), body.as_bytes(), now);
            assert_eq!(failure.retry_after, Some(Duration::from_secs(expected)), "{after}");
        }
        assert_eq!(classified(429, "").retry_after, None);
    }

    #[test]
    fn a_quota_of_the_project_pauses_the_project() {
        let body = |limit: &str| {
            format!(
                r#"{{"error":{{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{{
                "@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMIT_EXCEEDED",
                "metadata":{{"quota_limit":"{limit}"}}}}]}}}}"#
            )
        };
        for (limit, scope) in [
            ("ReadRequestsPerMinutePerProject", QuotaScope::Project),
            ("ReadRequestsPerMinutePerProjectPerUser", QuotaScope::User),
            ("", QuotaScope::User),
        ] {
            assert_eq!(classified(429, &body(limit)).used_up, Some(scope), "{limit}");
        }
        assert_eq!(classified(503, "").used_up, None);
    }
}
