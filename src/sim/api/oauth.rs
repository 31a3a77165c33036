//! The authorization server: issues tokens for a signed assertion, a refresh token or a code of the consent page, and
//! checks them on each read.

use std::collections::HashMap;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use fastrand::Rng;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::ApiSettings;
use super::access::Caller;
use super::error::{Forbidden, GoogleError};
use super::method::GoogleMethod;
use super::reply::ApiReply;
use super::request::Request;
use super::service_key::{CLIENT_EMAIL, KeyGenerationError, ServiceKey};
use crate::clock::saturating_add;
use crate::sim::world::World;

const LIFETIME: Duration = Duration::from_secs(3599);
const CODE_LIFETIME: Duration = Duration::from_secs(600);
/// How far an assertion's clock may be ahead of ours, in seconds.
const LEEWAY_SECONDS: i64 = 300;
/// The number of tokens remembered. The oldest are dropped first.
const MAX_TOKENS: usize = 10_000;
const CLIENT_ID: &str = "1053902841207-simulator.apps.googleusercontent.com";
const CLIENT_SECRET: &str = "GOCSPX-nothing-secret-about-it";

/// The tokens and codes that were issued, and to whom.
#[derive(Debug)]
pub(super) struct AuthorizationServer {
    base_url: String,
    delegated_scopes: Option<Vec<String>>,
    key: Option<ServiceKey>,
    access: HashMap<String, TokenGrant>,
    refresh: HashMap<String, TokenGrant>,
    codes: HashMap<String, AuthorizationCode>,
    random: Rng,
}

#[derive(Debug, Clone)]
struct TokenGrant {
    caller: Caller,
    scopes: Vec<String>,
    expires: Timestamp,
}

#[derive(Debug)]
struct AuthorizationCode {
    grant: TokenGrant,
    redirect_uri: String,
    /// The PKCE challenge, S256.
    challenge: Option<String>,
}

#[derive(Debug, Deserialize)]
struct JwtHeader {
    alg: String,
    kid: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    exp: i64,
    iat: i64,
    sub: Option<String>,
    #[serde(default)]
    scope: String,
}

/// Returns the error body of the token endpoint.
pub(super) fn refusal(error: &str, description: &str) -> ApiReply {
    let status = if matches!(error, "unauthorized_client" | "invalid_client") { 401 } else { 400 };
    ApiReply::json(status, &json!({"error": error, "error_description": description}))
}

impl AuthorizationServer {
    pub(super) fn new(settings: &ApiSettings) -> Self {
        Self {
            base_url: settings.base_url.clone(),
            delegated_scopes: settings.delegated_scopes.clone(),
            key: None,
            access: HashMap::new(),
            refresh: HashMap::new(),
            codes: HashMap::new(),
            random: Rng::with_seed(settings.seed ^ 0x0074_6f6b_656e_7321),
        }
    }

    pub(super) fn service_account_key(&mut self) -> Result<serde_json::Value, KeyGenerationError> {
        let key = match self.key.take() {
            Some(key) => key,
            None => ServiceKey::generate()?,
        };
        Ok(self.key.insert(key).file(&self.base_url))
    }

    pub(super) fn client_secret(&self) -> serde_json::Value {
        json!({"installed": {
            "client_id": CLIENT_ID,
            "project_id": "meetwatch-sim",
            "auth_uri": format!("{}/auth", self.base_url),
            "token_uri": format!("{}/token", self.base_url),
            "client_secret": CLIENT_SECRET,
            "redirect_uris": ["http://localhost"],
        }})
    }

    pub(super) fn revoke(&mut self) {
        self.access.clear();
    }

    /// Issues an access token.
    pub(super) fn issue(&mut self, caller: Caller, scopes: Vec<String>, now: Timestamp) -> String {
        if self.access.len() >= MAX_TOKENS {
            self.access.retain(|_, grant| grant.expires > now);
            if let Some(oldest) = self.access.iter().min_by_key(|(_, grant)| grant.expires).map(|(t, _)| t.clone()) {
                self.access.remove(&oldest);
            }
        }
        let token = format!("ya29.{}", self.secret());
        self.access.insert(token.clone(), TokenGrant { caller, scopes, expires: saturating_add(now, LIFETIME) });
        token
    }

    fn secret(&mut self) -> String {
        let bytes: Vec<u8> = (0..36).map(|_| self.random.u8(..)).collect();
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// Returns the caller of a request, if their token permits this method.
    pub(super) fn admit(
        &self,
        request: &Request,
        method: GoogleMethod,
        required: bool,
        now: Timestamp,
    ) -> Result<Caller, GoogleError> {
        let unauthenticated = |missing| GoogleError::unauthenticated(missing, method.service(), method.rpc());
        let grant = match request.token() {
            None if required => return Err(unauthenticated(true)),
            None => return Ok(Caller::Anybody),
            Some(token) => self.access.get(token).filter(|grant| now < grant.expires),
        };
        match grant {
            None if required => Err(unauthenticated(false)),
            None => Ok(Caller::Anybody),
            Some(grant) if grant.scopes.iter().any(|scope| method.scopes().contains(&scope.as_str())) => {
                Ok(grant.caller)
            }
            Some(_) => Err(GoogleError::forbidden(Forbidden::ScopeInsufficient, method.service(), method.rpc())),
        }
    }

    /// `POST /token`
    pub(super) fn token(&mut self, request: &Request, world: &World, now: Timestamp) -> ApiReply {
        let form = request.form();
        let field = |name: &str| form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
        match field("grant_type") {
            "urn:ietf:params:oauth:grant-type:jwt-bearer" => self.for_assertion(field("assertion"), world, now),
            "refresh_token" if !is_client(field("client_id"), field("client_secret"), request) => unknown_client(),
            "refresh_token" => match self.refresh.get(field("refresh_token")).cloned() {
                Some(grant) => self.granted(&grant, None, now),
                None => refusal("invalid_grant", "Token has been expired or revoked."),
            },
            "authorization_code" if !is_client(field("client_id"), field("client_secret"), request) => unknown_client(),
            "authorization_code" => self.for_code(&field, now),
            "" => refusal("invalid_request", "Missing required parameter: grant_type"),
            _ => refusal("unsupported_grant_type", "Invalid grant_type"),
        }
    }

    fn for_assertion(&mut self, assertion: &str, world: &World, now: Timestamp) -> ApiReply {
        let claims = match self.verified(assertion, now) {
            Ok(claims) => claims,
            Err(description) => return refusal("invalid_grant", description),
        };
        let scopes: Vec<String> = claims.scope.split_whitespace().map(str::to_owned).collect();
        if scopes.is_empty() {
            return refusal("invalid_scope", "Invalid OAuth scope or ID token audience provided.");
        }
        let caller = match claims.sub.as_deref().filter(|subject| *subject != CLIENT_EMAIL) {
            None => Caller::ServiceAccount,
            Some(subject) => {
                let delegated = |scope: &String| self.delegated_scopes.as_ref().is_none_or(|all| all.contains(scope));
                if !scopes.iter().all(delegated) {
                    return refusal(
                        "unauthorized_client",
                        "Client is unauthorized to retrieve access tokens using this method, or client not \
                         authorized for any of the scopes requested.",
                    );
                }
                match world.person_by_email(subject) {
                    Some(person) => Caller::User(person),
                    None => return refusal("invalid_grant", "Invalid email or User ID"),
                }
            }
        };
        self.granted(&TokenGrant { caller, scopes, expires: now }, None, now)
    }

    fn verified(&self, assertion: &str, now: Timestamp) -> Result<Claims, &'static str> {
        const MALFORMED: &str = "Invalid JWT: malformed assertion.";
        let (message, signature) = assertion.rsplit_once('.').ok_or(MALFORMED)?;
        let (header, claims) = message.split_once('.').ok_or(MALFORMED)?;
        // JWTs have no padding, but Google accepts it and some libraries add it.
        let decode = |text: &str| BASE64URL_NOPAD.decode(text.trim_end_matches('=').as_bytes()).map_err(|_| MALFORMED);
        let header: JwtHeader = serde_json::from_slice(&decode(header)?).map_err(|_| MALFORMED)?;
        let claims: Claims = serde_json::from_slice(&decode(claims)?).map_err(|_| MALFORMED)?;
        let key = self.key.as_ref().ok_or("Invalid grant: account not found")?;
        if header.alg != "RS256" || header.kid.is_some_and(|kid| kid != key.id()) {
            return Err("Invalid JWT Signature.");
        }
        if !key.verifies(message.as_bytes(), &decode(signature)?) {
            return Err("Invalid JWT Signature.");
        }
        if claims.iss != CLIENT_EMAIL {
            return Err("Invalid grant: account not found");
        }
        if claims.aud != format!("{}/token", self.base_url) {
            return Err("Invalid JWT: Failed audience check.");
        }
        let second = now.as_second();
        let in_time = claims.iat <= second + LEEWAY_SECONDS
            && claims.exp > second - LEEWAY_SECONDS
            && (0..=3600).contains(&claims.exp.saturating_sub(claims.iat));
        if !in_time {
            return Err("Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. \
                        Check your iat and exp values in the JWT claim.");
        }
        Ok(claims)
    }

    fn for_code<'f>(&mut self, field: &impl Fn(&str) -> &'f str, now: Timestamp) -> ApiReply {
        // A code can be used once.
        let Some(code) = self.codes.remove(field("code")).filter(|code| now < code.grant.expires) else {
            return refusal("invalid_grant", "Malformed auth code.");
        };
        if code.redirect_uri != field("redirect_uri") {
            return refusal("redirect_uri_mismatch", "Bad Request");
        }
        let verifier = BASE64URL_NOPAD.encode(&Sha256::digest(field("code_verifier").as_bytes()));
        if code.challenge.is_some_and(|challenge| challenge != verifier) {
            return refusal("invalid_grant", "Invalid code verifier.");
        }
        let refresh = format!("1//{}", self.secret());
        if self.refresh.len() < MAX_TOKENS {
            self.refresh.insert(refresh.clone(), code.grant.clone());
        }
        self.granted(&code.grant, Some(refresh), now)
    }

    fn granted(&mut self, grant: &TokenGrant, refresh: Option<String>, now: Timestamp) -> ApiReply {
        let token = self.issue(grant.caller, grant.scopes.clone(), now);
        let mut body = json!({
            "access_token": token, "expires_in": LIFETIME.as_secs(), "token_type": "Bearer",
        });
        if let Some(refresh) = refresh {
            body["refresh_token"] = refresh.into();
            body["scope"] = grant.scopes.join(" ").into();
        }
        ApiReply::json(200, &body)
    }

    /// `GET /auth`: the consent page, answered as if the user had consented.
    pub(super) fn consent(&mut self, request: &Request, world: &World, now: Timestamp) -> ApiReply {
        let parameter = |name| request.parameter(name).unwrap_or_default();
        let redirect_uri = parameter("redirect_uri").to_owned();
        let fits = parameter("client_id") == CLIENT_ID && parameter("response_type") == "code";
        // Redirects only to the loopback interface.
        if !fits || !is_loopback(&redirect_uri) {
            return ApiReply::html(400);
        }
        let hinted = world.person_by_email(parameter("login_hint"));
        let organizer = || world.spaces().find_map(|(_, space)| space.organizer);
        let Some(person) = hinted.or_else(organizer) else { return ApiReply::html(400) };
        let scopes: Vec<String> = parameter("scope").split_whitespace().map(str::to_owned).collect();
        let code = format!("4/0A{}", self.secret());
        let challenge = request.parameter("code_challenge").map(str::to_owned);
        if parameter("code_challenge_method") == "plain" || scopes.is_empty() {
            return ApiReply::html(400);
        }
        let grant = TokenGrant { caller: Caller::User(person), scopes, expires: saturating_add(now, CODE_LIFETIME) };
        self.codes.retain(|_, code| now < code.grant.expires);
        self.codes.insert(code.clone(), AuthorizationCode { grant, redirect_uri: redirect_uri.clone(), challenge });
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("code", &code).append_pair("scope", parameter("scope"));
        if let Some(state) = request.parameter("state") {
            query.append_pair("state", state);
        }
        let separator = if redirect_uri.contains('?') { '&' } else { '?' };
        ApiReply::redirect(format!("{redirect_uri}{separator}{}", query.finish()))
    }
}

/// Returns whether the client authenticated, in the form or, as RFC 6749 prefers, in the header.
fn is_client(id: &str, secret: &str, request: &Request) -> bool {
    let header = request.authorization.as_deref().and_then(|header| header.strip_prefix("Basic "));
    let expected = format!("{CLIENT_ID}:{CLIENT_SECRET}");
    (id == CLIENT_ID && secret == CLIENT_SECRET)
        || header.is_some_and(|given| given == data_encoding::BASE64.encode(expected.as_bytes()))
}

fn unknown_client() -> ApiReply {
    refusal("invalid_client", "The OAuth client was not found.")
}

fn is_loopback(uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => authority,
    };
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_redirected_to() {
        for fine in ["http://localhost:8080/x", "http://127.0.0.1:1", "http://[::1]:9/?a=b", "http://localhost"] {
            assert!(is_loopback(fine), "{fine}");
        }
        for foreign in
            ["https://localhost", "http://evil.example", "http://localhost@evil.example", "http://localhost.evil", ""]
        {
            assert!(!is_loopback(foreign), "{foreign}");
        }
    }
}
