//! Who may see what needs the token: whoever knows the token, and no web page of somebody else's.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::routes::{Shared, refusal};

/// Lets a request pass that carries the token.
pub(super) async fn token(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if bearer(request.headers()).is_some_and(|given| same(given, shared.fronts.now().token.expose_secret())) {
        return next.run(request).await;
    }
    let mut response = refusal(StatusCode::UNAUTHORIZED, "this needs the token: `Authorization: Bearer TOKEN`");
    let challenge = HeaderValue::from_static("Bearer realm=\"meetwatch\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

/// Lets a request for metrics pass where they are open, or as [`token`] does.
pub(super) async fn metrics(state: State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if state.fronts.now().open.metrics { next.run(request).await } else { token(state, request, next).await }
}

/// Lets a request for health pass where that is open, or as [`token`] does.
pub(super) async fn health(state: State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if state.fronts.now().open.health { next.run(request).await } else { token(state, request, next).await }
}

/// Lets a request pass that asks for this server by a name of its own, and that no foreign web page caused. Without
/// this, a page could have its own host name lead here (DNS rebinding) and act through the browser that shows it.
pub(super) async fn browser(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let Some(host) = host(request.headers()).filter(|host| is_ours(host, &shared.fronts.now().hosts)) else {
        return refusal(StatusCode::FORBIDDEN, "this server is not known by this name; add it to `server.hosts`");
    };
    if !is_same_origin(request.headers(), &host) {
        return refusal(StatusCode::FORBIDDEN, "another origin may not ask for this");
    }
    next.run(request).await
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = the_only(headers, &header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start().as_bytes())
}

/// Compares without telling by the time it takes how much of it is right, or how long the token is.
fn same(given: &[u8], token: &str) -> bool {
    Sha256::digest(given).ct_eq(&Sha256::digest(token.as_bytes())).into()
}

fn host(headers: &HeaderMap) -> Option<Authority> {
    Authority::try_from(the_only(headers, &header::HOST)?.as_bytes()).ok()
}

/// A header that is there exactly once: with two, the next program may look at the other one.
fn the_only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// A bare address cannot be made to lead elsewhere; a name has to be known.
fn is_ours(host: &Authority, known: &[String]) -> bool {
    let name = host.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    name.parse::<IpAddr>().is_ok() || name == "localhost" || known.contains(&name)
}

/// Whether no browser says that the request comes from another site than the one it asks.
fn is_same_origin(headers: &HeaderMap, host: &Authority) -> bool {
    if !headers.contains_key(header::ORIGIN) {
        return true;
    }
    let origin = the_only(headers, &header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let authority =
        origin.and_then(|origin| origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_token_is_taken_whole_and_from_one_header_only() {
        let given = |value| headers(&[(header::AUTHORIZATION, value)]);
        assert_eq!(bearer(&given("Bearer abc")), Some(&b"abc"[..]));
        assert_eq!(bearer(&given("bearer abc")), Some(&b"abc"[..]));
        assert_eq!(bearer(&given("Basic abc")), None);
        assert!(same(b"abc", "abc") && !same(b"ab", "abc") && !same(b"", "abc"));
        let mut twice = given("Bearer abc");
        twice.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer abd"));
        assert_eq!(bearer(&twice), None);
    }

    #[test]
    fn only_addresses_and_known_names_are_ours() {
        let known = ["meet.example.com".to_owned()];
        let ours = |host: &'static str| is_ours(&Authority::from_static(host), &known);
        for good in ["127.0.0.1:9840", "[::1]:9840", "localhost", "LocalHost:1", "192.0.2.1", "meet.example.com:80"] {
            assert!(ours(good), "{good}");
        }
        for bad in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:9840", "example.com"] {
            assert!(!ours(bad), "{bad}");
        }
    }

    #[test]
    fn another_origin_is_refused() {
        let host = Authority::from_static("127.0.0.1:9840");
        let same = |pairs: &[_]| is_same_origin(&headers(pairs), &host);
        assert!(same(&[]));
        assert!(same(&[(header::ORIGIN, "http://127.0.0.1:9840")]));
        for bad in ["null", "http://127.0.0.1", "http://evil.example", "127.0.0.1:9840", "http://127.0.0.1:9841"] {
            assert!(!same(&[(header::ORIGIN, bad)]), "{bad}");
        }
    }
}
