//! Who may see what needs a key: whoever shows one, and no web page of somebody else's.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::keys::{Keys, Shown, Verdict};
use super::routes::{Shared, refusal};

/// Lets a request for the API pass that shows a key for it.
pub(super) async fn api(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let front = shared.fronts.now();
    admit(&shared, &[&front.all, &front.api], request, next).await
}

/// Lets a request for metrics pass where they are open, or that shows a key for them.
pub(super) async fn metrics(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let front = shared.fronts.now();
    if front.open.metrics {
        return next.run(request).await;
    }
    admit(&shared, &[&front.all, &front.metrics], request, next).await
}

/// Lets a request for health pass where that is open, or that shows any key.
pub(super) async fn health(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let front = shared.fronts.now();
    if front.open.health {
        return next.run(request).await;
    }
    admit(&shared, &[&front.all, &front.metrics, &front.api], request, next).await
}

async fn admit(shared: &Shared, keys: &[&Keys], request: Request, next: Next) -> Response {
    let shown =
        the_only(request.headers(), &header::AUTHORIZATION).and_then(|value| Shown::parse(value.to_str().ok()?));
    let verdict = match shown {
        Some(shown) => shared.doorkeeper.check(&shown, keys).await,
        None => Verdict::Out,
    };
    match verdict {
        Verdict::In => return next.run(request).await,
        Verdict::Busy => {
            return refusal(StatusCode::TOO_MANY_REQUESTS, "too many passwords are being checked; ask again later");
        }
        Verdict::Out => {}
    }
    let mut response = refusal(StatusCode::UNAUTHORIZED, "this needs the token: `Authorization: Bearer TOKEN`");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"meetwatch\""));
    if keys.iter().any(|keys| !keys.users.is_empty()) {
        response.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"meetwatch\""));
    }
    response
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
    fn a_key_is_taken_from_one_header_only() {
        let mut twice = headers(&[(header::AUTHORIZATION, "Bearer abc")]);
        assert!(the_only(&twice, &header::AUTHORIZATION).is_some());
        twice.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer abd"));
        assert!(the_only(&twice, &header::AUTHORIZATION).is_none());
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
