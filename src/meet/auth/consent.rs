//! The consent of a user, for `meetwatch login`: the authorization code flow for installed apps, with a loopback redirect
//! (RFC 8252), PKCE (RFC 7636) and a `state` parameter that ties the redirect to this request.
//!
//! Pure except for [`Consent::exchange`]: the random bytes are arguments, and the caller shows the address and receives the
//! redirect.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use reqwest::Url;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::files::ClientSecret;
use super::oauth_error::{GrantType, oauth_failure};
use super::scopes::Scopes;
use super::token_endpoint;
use super::token_store::StoredToken;
use crate::meet::error::Reason;
use crate::meet::failure::Failure;
use crate::meet::{http_clients, remedy};
use crate::tls_roots::{self, ClientError};

/// The limit for the exchange of the code.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);

const NO_REFRESH: &str = "remove meetwatch's access at https://myaccount.google.com/connections, then log in again";
const AGREE_TO_ALL: &str = "log in again and leave every box ticked";
const WRONG_REDIRECT: &str = "open the address that this command printed, in one browser only";

/// A consent that was requested and is not given yet.
pub struct Consent {
    client: ClientSecret,
    wanted: Vec<&'static str>,
    redirect: String,
    verifier: String,
    state: String,
}

impl std::fmt::Debug for Consent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consent").field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

impl Consent {
    /// Prepares a request for these scopes, with a redirect to this port on this machine. `secrets` are random bytes that
    /// nobody else can guess.
    #[must_use]
    pub fn new(client: ClientSecret, scopes: &[Scopes], port: u16, secrets: &[[u8; 32]; 2]) -> Self {
        Self {
            client,
            wanted: scopes.iter().flat_map(|scopes| scopes.as_slice()).copied().collect(),
            redirect: format!("http://127.0.0.1:{port}"),
            verifier: BASE64URL_NOPAD.encode(&secrets[0]),
            state: BASE64URL_NOPAD.encode(&secrets[1]),
        }
    }

    /// The address that the user opens in a browser to consent.
    ///
    /// # Errors
    /// `credentials` if the client's `auth_uri` is not an address.
    pub fn address(&self) -> Result<Url, Failure> {
        let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(self.verifier.as_bytes()));
        let scope = self.wanted.join(" ");
        let query = [
            ("client_id", self.client.client_id.as_str()),
            ("redirect_uri", &self.redirect),
            ("response_type", "code"),
            ("scope", &scope),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("state", &self.state),
            // `offline` requests a refresh token, which Google sends reliably only with a new consent.
            ("access_type", "offline"),
            ("prompt", "consent"),
        ];
        Url::parse_with_params(&self.client.auth_uri, query)
            .map_err(|_| Failure::new(Reason::Credentials, "the `auth_uri` of the OAuth client is not an address", ""))
    }

    /// Returns the code in the query of the redirect. `None` if the request does not belong to this consent and is to be
    /// ignored.
    ///
    /// # Errors
    /// If the user or the domain refused.
    pub fn code(&self, query: &str) -> Result<Option<String>, Failure> {
        let Ok(url) = Url::parse(&format!("{}/?{query}", self.redirect)) else { return Ok(None) };
        let value = |key: &str| url.query_pairs().find(|(name, _)| name == key).map(|(_, value)| value.into_owned());
        let is_ours = value("state").is_some_and(|state| bool::from(state.as_bytes().ct_eq(self.state.as_bytes())));
        if !is_ours {
            return Ok(None);
        }
        match (value("code"), value("error")) {
            (Some(code), None) => Ok(Some(code)),
            (_, Some(error)) => Err(oauth_failure(&error, "", GrantType::User)),
            (None, None) => Err(Failure::new(Reason::Malformed, "the redirect has no code", WRONG_REDIRECT)),
        }
    }

    /// Exchanges the code for a refresh token to store.
    ///
    /// # Errors
    /// If the endpoint refuses or cannot be reached, sends no refresh token, or the user unticked a scope.
    pub async fn exchange(&self, proxy: Option<&Url>, code: &str) -> Result<StoredToken, Failure> {
        let is_https = self.client.token_uri.starts_with("https:") || proxy.is_some_and(|url| url.scheme() == "https");
        let http = http_clients::build(proxy, EXCHANGE_TIMEOUT, is_https).map_err(|error| setup_failure(&error))?;
        let http = http.through_proxy;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", self.client.client_id.as_str()),
            ("client_secret", &self.client.client_secret),
            ("redirect_uri", &self.redirect),
            ("code_verifier", &self.verifier),
        ];
        let granted = token_endpoint::request_token(&http, &self.client.token_uri, &form, GrantType::User).await?;
        if !granted.covers(&self.wanted) {
            return Err(Failure::new(Reason::ScopeMissing, "the user did not agree to every scope", AGREE_TO_ALL));
        }
        let scopes = self.wanted.iter().map(ToString::to_string).collect();
        let missing = || Failure::new(Reason::Credentials, "Google sent no refresh token", NO_REFRESH);
        Ok(StoredToken { refresh_token: granted.refresh_token.ok_or_else(missing)?, scopes })
    }
}

fn setup_failure(error: &ClientError) -> Failure {
    let (detail, remedy) = match error {
        ClientError::NoRoots => ("this machine has no CA certificates", tls_roots::REMEDY),
        ClientError::Setup(_) => ("cannot set up the connection to Google", remedy::NETWORK),
    };
    Failure::new(Reason::Network, detail, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consent() -> Consent {
        let client = ClientSecret {
            client_id: "id".to_owned(),
            client_secret: "hush".to_owned(),
            auth_uri: "https://accounts.example/auth?x=y".to_owned(),
            token_uri: "https://accounts.example/token".to_owned(),
        };
        Consent::new(client, &Scopes::ALL, 4242, &[[1; 32], [2; 32]])
    }

    #[test]
    fn the_address_names_every_scope_and_no_secret() {
        let consent = consent();
        let address = consent.address().unwrap();
        let value = |key: &str| address.query_pairs().find(|(name, _)| name == key).unwrap().1.into_owned();
        assert_eq!(value("redirect_uri"), "http://127.0.0.1:4242");
        assert_eq!(value("scope").split(' ').count(), 4);
        assert_eq!(value("x"), "y");
        assert!(!address.as_str().contains("hush") && !address.as_str().contains(&consent.verifier));
    }

    /// The example of RFC 7636, appendix B.
    #[test]
    fn the_challenge_is_the_hash_of_the_verifier() {
        let mut consent = consent();
        consent.verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned();
        let address = consent.address().unwrap();
        assert!(address.as_str().contains("code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&"));
    }

    #[test]
    fn only_the_redirect_with_the_right_state_counts() {
        let consent = consent();
        let state = &consent.state;
        assert_eq!(consent.code(&format!("state={state}&code=4%2Fabc")), Ok(Some("4/abc".to_owned())));
        for foreign in ["", "code=evil", "state=other&code=evil", "state=&code=evil"] {
            assert_eq!(consent.code(foreign), Ok(None), "{foreign}");
        }
        let refused = consent.code(&format!("state={state}&error=access_denied")).unwrap_err();
        assert_eq!(refused.reason, Reason::Credentials);
        assert!(consent.code(&format!("state={state}")).is_err());
    }
}
