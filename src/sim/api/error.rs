//! Error bodies with Google's wording: a code, a status, a message and typed details.

use std::time::Duration;

use serde_json::{Value, json};

/// The project that errors name as the consumer.
pub const PROJECT: &str = "projects/1053902841207";

/// An error answer.
#[derive(Debug, Clone, PartialEq)]
pub struct GoogleError {
    pub code: u16,
    pub status: &'static str,
    pub message: String,
    pub details: Vec<Value>,
    /// Sent as the header `Retry-After`, in whole seconds.
    pub retry_after: Option<Duration>,
}

/// The three meanings of 403.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forbidden {
    /// The API is not enabled in the project.
    ServiceDisabled,
    /// The token lacks a scope.
    ScopeInsufficient,
    /// This user may not see this.
    PermissionDenied,
}

/// How a 429 says when to retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    None,
    /// The header `Retry-After`.
    RetryAfter(Duration),
    /// The detail `google.rpc.RetryInfo`.
    RetryInfo(Duration),
}

impl GoogleError {
    fn new(code: u16, status: &'static str, message: impl Into<String>) -> Self {
        Self { code, status, message: message.into(), details: Vec::new(), retry_after: None }
    }

    fn with(mut self, detail: Value) -> Self {
        self.details.push(detail);
        self
    }

    /// 400, about one field of the request.
    #[must_use]
    pub fn invalid_argument(field: &str, description: &str) -> Self {
        Self::new(400, "INVALID_ARGUMENT", description).with(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": field, "description": description}],
        }))
    }

    /// 400, a query parameter that this method does not have.
    #[must_use]
    pub fn unknown_parameter(name: &str) -> Self {
        Self::invalid_argument(
            "",
            &format!(
                "Invalid JSON payload received. Unknown name \"{name}\": Cannot bind query parameter. \
                 Field '{name}' could not be found in request message."
            ),
        )
    }

    /// 404. The same for a resource that does not exist, is not visible yet, or has expired.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(404, "NOT_FOUND", "Requested entity was not found.")
    }

    /// 403, in one of its meanings. `service` is the host that refuses, `method` the full RPC name.
    #[must_use]
    pub fn forbidden(meaning: Forbidden, service: &str, method: &str) -> Self {
        let project = PROJECT.trim_start_matches("projects/");
        match meaning {
            Forbidden::ServiceDisabled => {
                let console = format!("https://console.developers.google.com/apis/api/{service}/overview");
                let message = format!(
                    "Google Meet API has not been used in project {project} before or it is disabled. Enable it by \
                     visiting {console}?project={project} then retry. If you enabled this API recently, wait a few \
                     minutes for the action to propagate to our systems and retry."
                );
                Self::new(403, "PERMISSION_DENIED", message)
                    .with(error_info("SERVICE_DISABLED", &json!({"service": service, "consumer": PROJECT})))
                    .with(json!({
                        "@type": "type.googleapis.com/google.rpc.Help",
                        "links": [{"description": "Google developers console API activation", "url": console}],
                    }))
            }
            Forbidden::ScopeInsufficient => {
                Self::new(403, "PERMISSION_DENIED", "Request had insufficient authentication scopes.")
                    .with(error_info("ACCESS_TOKEN_SCOPE_INSUFFICIENT", &json!({"service": service, "method": method})))
            }
            Forbidden::PermissionDenied => Self::new(403, "PERMISSION_DENIED", "The caller does not have permission"),
        }
    }

    /// 401: a token that is unknown, expired or revoked, or none where one is needed.
    #[must_use]
    pub fn unauthenticated(missing: bool, service: &str, method: &str) -> Self {
        let (reason, message) = if missing {
            (
                "CREDENTIALS_MISSING",
                "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie \
                 or other valid authentication credential. See \
                 https://developers.google.com/identity/sign-in/web/devconsole-project.",
            )
        } else {
            (
                "ACCESS_TOKEN_TYPE_UNSUPPORTED",
                "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or \
                 other valid authentication credential. See \
                 https://developers.google.com/identity/sign-in/web/devconsole-project.",
            )
        };
        Self::new(401, "UNAUTHENTICATED", message)
            .with(error_info(reason, &json!({"service": service, "method": method})))
    }

    /// 429: the quota of the last minute is used up.
    #[must_use]
    pub fn rate_limited(hint: Hint, limit: u32, service: &str) -> Self {
        let message = format!(
            "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute per user' of \
             service '{service}' for consumer 'project_number:{}'.",
            PROJECT.trim_start_matches("projects/")
        );
        let error = Self::new(429, "RESOURCE_EXHAUSTED", message).with(error_info(
            "RATE_LIMIT_EXCEEDED",
            &json!({
                "service": service, "consumer": PROJECT, "quota_location": "global",
                "quota_metric": format!("{service}/read_requests"),
                "quota_limit": "ReadRequestsPerMinutePerProjectPerUser", "quota_limit_value": limit.to_string(),
            }),
        ));
        match hint {
            Hint::None => error,
            Hint::RetryAfter(after) => Self { retry_after: Some(after), ..error },
            Hint::RetryInfo(after) => error.with(json!({
                "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": seconds(after),
            })),
        }
    }

    /// 5xx: Google failed.
    #[must_use]
    pub fn server(code: u16) -> Self {
        match code {
            501 => Self::new(501, "UNIMPLEMENTED", "Operation is not implemented, or supported, or enabled."),
            503 => Self::new(503, "UNAVAILABLE", "The service is currently unavailable."),
            504 => Self::new(504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
            code => Self::new(code, "INTERNAL", "Internal error encountered."),
        }
    }

    /// Returns the error body in Google's format.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut error = json!({"code": self.code, "message": self.message, "status": self.status});
        if !self.details.is_empty() {
            error["details"] = Value::Array(self.details.clone());
        }
        json!({ "error": error })
    }
}

fn error_info(reason: &str, metadata: &Value) -> Value {
    json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason, "domain": "googleapis.com", "metadata": metadata,
    })
}

/// Returns a duration in the JSON format of protobuf: `12s`, `0.500s`.
fn seconds(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        millis => format!("{}.{millis:03}s", duration.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meet::wire::{ErrorBody, ErrorDetail};

    #[test]
    fn the_client_parses_the_error_bodies() {
        let error =
            GoogleError::rate_limited(Hint::RetryInfo(Duration::from_millis(12_500)), 600, "meet.googleapis.com");
        let body: ErrorBody = serde_json::from_value(error.body()).unwrap();
        assert_eq!((body.error.code, body.error.status.as_str()), (429, "RESOURCE_EXHAUSTED"));
        assert!(
            matches!(&body.error.details[0], ErrorDetail::ErrorInfo { reason, .. } if reason == "RATE_LIMIT_EXCEEDED")
        );
        assert_eq!(body.error.details[1], ErrorDetail::RetryInfo { retry_delay: "12.500s".into() });

        let error = GoogleError::forbidden(Forbidden::ServiceDisabled, "meet.googleapis.com", "m");
        let body: ErrorBody = serde_json::from_value(error.body()).unwrap();
        assert!(
            matches!(&body.error.details[0], ErrorDetail::ErrorInfo { reason, .. } if reason == "SERVICE_DISABLED")
        );
        assert_eq!(body.error.details[1], ErrorDetail::Other, "a detail that the client ignores");
    }
}
