//! Obtains access tokens with the refresh token of a user (`grant_type=refresh_token`, RFC 6749, 6).

use std::path::Path;

use reqwest::Client;

use super::files::{self, AuthorizedUser};
use super::oauth_error::GrantType;
use super::scopes::Scopes;
use super::token_endpoint::{self, IssuedToken, TokenResponse};
use super::token_store::StoredToken;
use crate::meet::error::Reason;
use crate::meet::failure::Failure;
use crate::meet::remedy;
use crate::meet::request::GoogleApi;

/// Obtains a token with the refresh token that `meetwatch login` stored. If the endpoint rotates the refresh token, the new
/// one is stored before the access token is used.
pub(super) async fn from_store(
    http: &Client,
    client: &Path,
    store: &Path,
    scopes: Scopes,
) -> Result<IssuedToken, Failure> {
    let secret = files::parse_client(&files::read(client)?)?;
    let mut stored = StoredToken::load(store)?;
    let agreed = |scope: &&str| stored.scopes.iter().any(|agreed| agreed == scope);
    if !scopes.as_slice().iter().all(agreed) {
        return Err(scope_missing(scopes));
    }
    let form = form(&secret.client_id, &secret.client_secret, &stored.refresh_token);
    let granted = token_endpoint::request_token(http, &secret.token_uri, &form, GrantType::User).await?;
    if let Some(rotated) = granted.refresh_token.clone().filter(|rotated| *rotated != stored.refresh_token) {
        stored.refresh_token = rotated;
        stored.save(store).map_err(|_| {
            Failure::new(
                Reason::Credentials,
                "the token store cannot be written",
                "give meetwatch write access to the folder of `token_store`",
            )
        })?;
    }
    covering(granted, scopes)
}

/// Obtains a token with the refresh token in a user's application default credentials.
pub(super) async fn from_default(http: &Client, user: &AuthorizedUser, scopes: Scopes) -> Result<IssuedToken, Failure> {
    let form = form(&user.client_id, &user.client_secret, &user.refresh_token);
    covering(token_endpoint::request_token(http, &user.token_uri, &form, GrantType::User).await?, scopes)
}

fn form<'a>(client_id: &'a str, client_secret: &'a str, refresh_token: &'a str) -> [(&'static str, &'a str); 4] {
    [
        ("grant_type", "refresh_token"),
        ("client_id", client_id),
        ("client_secret", client_secret),
        ("refresh_token", refresh_token),
    ]
}

fn covering(granted: TokenResponse, scopes: Scopes) -> Result<IssuedToken, Failure> {
    if granted.covers(scopes.as_slice()) { Ok(granted.token()) } else { Err(scope_missing(scopes)) }
}

fn scope_missing(scopes: Scopes) -> Failure {
    let api = match scopes {
        Scopes::Meet => GoogleApi::Meet,
        Scopes::People => GoogleApi::People,
    };
    Failure::new(Reason::ScopeMissing, "the user did not consent to this scope", remedy::of(Reason::ScopeMissing, api))
}
