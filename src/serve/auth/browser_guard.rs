//! Middleware that refuses what a foreign web page may have caused: a `Host` that is not the server's, or an `Origin` of
//! another site.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::single_header::single_header;
use crate::serve::refusal::Refusal;
use crate::serve::state::ServerState;

/// Lets a request pass if its `Host` is a known name of this server and its `Origin`, if any, is the same. Otherwise a page
/// could resolve its own host name to this address (DNS rebinding) and use the API through the browser that shows it.
pub(crate) async fn browser(State(state): State<Arc<ServerState>>, request: Request, next: Next) -> Response {
    let refuse = |message| Refusal::new(StatusCode::FORBIDDEN, message).into_response();
    let Some(host) = host(request.headers()).filter(|host| is_known(host, &state.live_config.current().hosts)) else {
        return refuse("the name in `Host` is not a known name of this server; add it to `server.hosts`");
    };
    if !is_same_origin(request.headers(), &host) {
        return refuse("requests from another origin are refused");
    }
    next.run(request).await
}

fn host(headers: &HeaderMap) -> Option<Authority> {
    Authority::try_from(single_header(headers, &header::HOST)?.as_bytes()).ok()
}

/// Whether this is an IP address, which cannot be rebound, or a known name.
fn is_known(host: &Authority, known: &[String]) -> bool {
    let name = host.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    name.parse::<IpAddr>().is_ok() || name == "localhost" || known.contains(&name)
}

/// Whether `Origin` is absent or names the host that is requested.
fn is_same_origin(headers: &HeaderMap, host: &Authority) -> bool {
    if !headers.contains_key(header::ORIGIN) {
        return true;
    }
    let origin = single_header(headers, &header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let authority =
        origin.and_then(|origin| origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host.as_str()))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_ip_addresses_and_known_names_are_accepted_as_host() {
        let known = ["meet.example.com".to_owned()];
        let known = |host: &'static str| is_known(&Authority::from_static(host), &known);
        for good in ["127.0.0.1:9840", "[::1]:9840", "localhost", "LocalHost:1", "192.0.2.1", "meet.example.com:80"] {
            assert!(known(good), "{good}");
        }
        for bad in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:9840", "example.com"] {
            assert!(!known(bad), "{bad}");
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
