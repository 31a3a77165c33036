//! One form to a token token_endpoint, one answer, for what yup-oauth2 does not do. Nothing of either is ever logged.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};
use serde::Deserialize;

use super::oauth_error::{GrantType, oauth_failure};
use crate::meet::transport;
use crate::meet::error::Reason;
use crate::meet::failure::Failure;

/// No answer of a token token_endpoint is larger.
const MOST_BYTES: usize = 64 << 10;

/// A new access token.
pub(in crate::meet) struct Token {
    pub(in crate::meet) text: String,
    /// How long it is good for, where the token_endpoint says so.
    pub(in crate::meet) lifetime: Option<Duration>,
}

/// What an token_endpoint grants.
#[derive(Deserialize)]
pub(super) struct TokenResponse {
    access_token: String,
    expires_in: Option<u64>,
    /// A refresh token, at the first exchange and where the token_endpoint rotates them.
    pub(super) refresh_token: Option<String>,
    /// What the token is good for, separated by spaces.
    pub(super) scope: Option<String>,
}

#[derive(Deserialize)]
struct OAuthErrorBody {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl TokenResponse {
    /// The access token in it.
    pub(super) fn token(self) -> Token {
        Token { text: self.access_token, lifetime: self.expires_in.map(Duration::from_secs) }
    }

    /// Whether all of `wanted` was granted. Where the token_endpoint does not say, it granted what was asked for.
    pub(super) fn covers(&self, wanted: &[&str]) -> bool {
        self.scope.as_ref().is_none_or(|granted| wanted.iter().all(|scope| granted.split(' ').any(|one| one == *scope)))
    }
}

/// Sends a form and reads what was granted.
pub(super) async fn ask(http: &Client, uri: &str, form: &[(&str, &str)], grant: GrantType) -> Result<TokenResponse, Failure> {
    let url = Url::parse(uri).map_err(|_| bad_address())?;
    let request = http.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(encoded(form));
    let response = request.send().await.map_err(|error| transport::failure_of(&error))?;
    let status = response.status();
    let bytes = transport::read_body(response, MOST_BYTES).await?;
    if status.is_success() {
        return serde_json::from_slice(&bytes).map_err(|_| Failure::malformed("the token token_endpoint sent no token"));
    }
    match serde_json::from_slice::<OAuthErrorBody>(&bytes) {
        Ok(refused) => Err(oauth_failure(&refused.error, &refused.error_description, grant)),
        Err(_) if status.is_server_error() => Err(Failure::new(Reason::Server, "the token token_endpoint failed", "")),
        Err(_) if status.as_u16() == 429 => Err(Failure::new(Reason::Throttled, "the token token_endpoint is busy", "")),
        Err(_) => Err(Failure::malformed("the token token_endpoint did not answer in JSON")),
    }
}

fn bad_address() -> Failure {
    Failure::new(Reason::Credentials, "the token address is none", "download the credentials file once more")
}

/// The pairs as `application/x-www-form-urlencoded`, which is what a URL's query is written in.
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
    fn a_form_is_escaped() {
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
