//! Classifies the error response of a token endpoint (RFC 6749, 5.2, and the codes that Google adds), by the kind of grant.
//!
//! Google's description is only compared and never passed on: it may contain an address.

use crate::meet::error::Reason;
use crate::meet::failure::Failure;
use crate::meet::remedy;
use crate::meet::request::GoogleApi;

/// How a token is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GrantType {
    /// A service account for itself.
    ServiceAccount,
    /// A service account for a user of its domain.
    Delegated,
    /// A user who consented.
    User,
}

const KEY_REFUSED: &str =
    "create a new key for the service account: this one was deleted or disabled, or belongs to another account";
const CLOCK_OFF: &str = "correct this machine's clock: Google accepts only assertions of the last hour";
const NO_SUCH_SUBJECT: &str = "check that `subject` is the primary address of an active user of the domain";
const CONSENT_GONE: &str = "run `meetwatch login` again: the consent was revoked or has expired (for an app in \
     testing it lasts seven days)";
const CLIENT_GONE: &str =
    "check that the OAuth client still exists, and run `meetwatch login` with its current JSON again";
const POLICY: &str = "ask the domain's administrator to trust this app (Admin console, Security, API controls)";

/// Returns the failure for an `error` and its `error_description`.
pub(super) fn oauth_failure(error: &str, description: &str, grant: GrantType) -> Failure {
    let (reason, remedy) = match (error, grant) {
        ("invalid_grant", GrantType::ServiceAccount | GrantType::Delegated) => {
            (Reason::Credentials, bad_assertion(description))
        }
        ("invalid_grant", _) => (Reason::Credentials, CONSENT_GONE),
        ("unauthorized_client" | "access_denied", GrantType::Delegated) => {
            (Reason::Delegation, remedy::of(Reason::Delegation, GoogleApi::Meet))
        }
        ("unauthorized_client" | "invalid_client" | "deleted_client", GrantType::User) => {
            (Reason::Credentials, CLIENT_GONE)
        }
        ("admin_policy_enforced" | "access_denied" | "org_internal", _) => (Reason::Credentials, POLICY),
        ("unauthorized_client" | "invalid_client", _) => (Reason::Credentials, KEY_REFUSED),
        ("invalid_scope", _) => (Reason::ScopeMissing, remedy::of(Reason::ScopeMissing, GoogleApi::Meet)),
        ("server_error" | "internal_failure" | "temporarily_unavailable" | "backend_error", _) => (Reason::Server, ""),
        ("slow_down" | "rate_limit_exceeded", _) => (Reason::Throttled, ""),
        ("invalid_request" | "unsupported_grant_type", _) => {
            (Reason::BadRequest, remedy::of(Reason::BadRequest, GoogleApi::Meet))
        }
        _ => (Reason::Credentials, remedy::of(Reason::Credentials, GoogleApi::Meet)),
    };
    Failure::new(reason, detail(error), remedy)
}

/// Google sends `invalid_grant` for a bad key, a wrong clock and an unknown subject; only the description differs.
fn bad_assertion(description: &str) -> &'static str {
    let description = description.to_ascii_lowercase();
    if description.contains("user id") || description.contains("invalid email") || description.contains("account") {
        NO_SUCH_SUBJECT
    } else if description.contains("timeframe") || description.contains("iat") {
        CLOCK_OFF
    } else {
        KEY_REFUSED
    }
}

fn detail(error: &str) -> String {
    let is_constant =
        !error.is_empty() && error.len() <= 64 && error.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    format!("the token endpoint refused: {}", if is_constant { error } else { "unknown error" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_its_own_reason_and_remedy() {
        for (error, description, grant, reason, remedy) in [
            ("invalid_grant", "Invalid JWT Signature.", GrantType::Delegated, Reason::Credentials, KEY_REFUSED),
            ("invalid_grant", "Invalid email or User ID", GrantType::Delegated, Reason::Credentials, NO_SUCH_SUBJECT),
            (
                "invalid_grant",
                "Invalid JWT: IssuedToken must be a short-lived token (60 minutes) and in a reasonable timeframe.",
                GrantType::ServiceAccount,
                Reason::Credentials,
                CLOCK_OFF,
            ),
            (
                "invalid_grant",
                "IssuedToken has been expired or revoked.",
                GrantType::User,
                Reason::Credentials,
                CONSENT_GONE,
            ),
            ("deleted_client", "", GrantType::User, Reason::Credentials, CLIENT_GONE),
            ("admin_policy_enforced", "", GrantType::User, Reason::Credentials, POLICY),
        ] {
            let failure = oauth_failure(error, description, grant);
            assert_eq!((failure.reason, failure.remedy), (reason, remedy), "{error} {description}");
        }
        assert_eq!(oauth_failure("unauthorized_client", "", GrantType::Delegated).reason, Reason::Delegation);
        assert_eq!(oauth_failure("unauthorized_client", "", GrantType::ServiceAccount).reason, Reason::Credentials);
        assert_eq!(oauth_failure("invalid_scope", "", GrantType::Delegated).reason, Reason::ScopeMissing);
        assert_eq!(oauth_failure("internal_failure", "", GrantType::User).reason, Reason::Server);
    }

    #[test]
    fn the_endpoints_text_is_not_repeated() {
        let failure = oauth_failure("no such user ada@example.com", "ada@example.com", GrantType::Delegated);
        assert_eq!(failure.detail, "the token endpoint refused: unknown error");
    }
}
