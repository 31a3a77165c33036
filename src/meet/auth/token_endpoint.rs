//! Requests to OAuth token endpoints, for the grants that yup-oauth2 does not handle. Neither the request nor the response
//! is ever logged.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};
use serde::Deserialize;

use super::oauth_error::{GrantType, oauth_failure};
use crate::meet::error::Reason;
use crate::meet::failure::Failure;
use crate::meet::transport;

/// No answer of a token endpoint is larger.
const MAX_BYTES: usize = 64 << 10;

/// A new access token.
pub(in crate::meet) struct IssuedToken {
    pub(in crate::meet) text: String,
    /// How long it is valid, if the endpoint says so.
    pub(in crate::meet) lifetime: Option<Duration>,
}

/// The successful response of a token endpoint (RFC 6749, 5.1).
#[derive(Deserialize)]
pub(super) struct TokenResponse {
    access_token: String,
    expires_in: Option<u64>,
    /// A refresh token: at the first exchange, and if the endpoint rotates them.
    pub(super) refresh_token: Option<String>,
    /// The granted scopes, separated by spaces.
    pub(super) scope: Option<String>,
}

#[derive(Deserialize)]
struct OAuthErrorBody {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl TokenResponse {
    /// The access token.
    pub(super) fn token(self) -> IssuedToken {
        IssuedToken { text: self.access_token, lifetime: self.expires_in.map(Duration::from_secs) }
    }

    /// Whether all scopes in `wanted` were granted. An endpoint that does not say granted what was requested.
    pub(super) fn covers(&self, wanted: &[&str]) -> bool {
        self.scope.as_ref().is_none_or(|granted| wanted.iter().all(|scope| granted.split(' ').any(|one| one == *scope)))
    }
}

/// Sends a form to a token endpoint and returns what it granted.
///
/// # Errors
/// The reason of the refusal, or what went wrong on the way.
pub(super) async fn request_token(
    http: &Client,
    uri: &str,
    form: &[(&str, &str)],
    grant: GrantType,
) -> Result<TokenResponse, Failure> {
    let url = Url::parse(uri).map_err(|_| bad_address())?;
    let request = http.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(encoded(form));
    let response = request.send().await.map_err(|error| transport::failure_of(&error))?;
    let status = response.status();
    let bytes = transport::read_body(response, MAX_BYTES).await?;
    if status.is_success() {
        return serde_json::from_slice(&bytes)
            .map_err(|_| Failure::malformed("the response of the token endpoint contains no token"));
    }
    match serde_json::from_slice::<OAuthErrorBody>(&bytes) {
        Ok(refused) => Err(oauth_failure(&refused.error, &refused.error_description, grant)),
        Err(_) if status.is_server_error() => {
            Err(Failure::new(Reason::Server, "the token endpoint had an internal error", ""))
        }
        Err(_) if status.as_u16() == 429 => Err(Failure::new(Reason::Throttled, "the token endpoint is busy", "")),
        Err(_) => Err(Failure::malformed("the response of the token endpoint is not JSON")),
    }
}

fn bad_address() -> Failure {
    Failure::new(
        Reason::Credentials,
        "the `token_uri` in the credentials file is not an address",
        "download the credentials file again",
    )
}

/// Encodes the pairs as `application/x-www-form-urlencoded`, the encoding of a URL's query.
fn encoded(form: &[(&str, &str)]) -> String {
    let mut url = match Url::parse("http://form/") {
        Ok(url) => url,
        Err(_) => return String::new(),
    };
    url.query_pairs_mut().extend_pairs(form);
    url.query().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_encoded() {
        assert_eq!(encoded(&[("a", "1/2 3"), ("b", "x&y=z")]), "a=1%2F2+3&b=x%26y%3Dz");
    }

    #[test]
    fn a_grant_that_leaves_a_scope_out_does_not_cover_it() {
        let granted = |scope: &str| -> TokenResponse {
            serde_json::from_str(&format!(r#"{{"access_token":"t","expires_in":3599{scope}}}"#)).unwrap()
        };
        assert!(granted("").covers(&["a", "b"]));
        assert!(granted(r#","scope":"b c a""#).covers(&["a", "b"]));
        assert!(!granted(r#","scope":"b""#).covers(&["a", "b"]));
    }
}
