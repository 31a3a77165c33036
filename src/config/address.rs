//! Addresses of HTTP servers, and to which of them unencrypted connections are allowed.

use std::net::IpAddr;

use reqwest::Url;
use secrecy::ExposeSecret as _;

use super::files::ReferencedFiles;
use super::secret;
use super::section::{Located, Section};

/// What is expected of an address, with an example.
const EXPECTED: &str = "an address such as \"https://example.com/path\"";

/// Parses the address of an HTTP server.
pub(super) fn http<'a, T>(found: &Located<'a, T>, text: &str) -> Option<Located<'a, Url>> {
    let url = Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) = url else {
        found.problem(format!("must be {EXPECTED}"));
        return None;
    };
    Some(found.with(url))
}

/// Reads `proxy` or `proxy_file`: the address may contain a password.
pub(super) fn proxy<'a>(section: &Section<'a>, files: &ReferencedFiles<'_>) -> Option<Located<'a, Url>> {
    let found = secret::one(section, files, ["proxy", "proxy_file"], "the address of the proxy")?;
    let proxy = http(&found, found.value.expose_secret())?;
    if proxy.value.password().is_some() {
        section.mark_secret("proxy");
    }
    Some(proxy)
}

/// Reports a problem if `what` would be sent unencrypted, except to this machine or if the operator allows it.
pub(super) fn require_https(section: &Section<'_>, url: &Located<'_, Url>, allow_http: bool, what: &str) {
    if url.value.scheme() != "https" && !allow_http && !is_loopback(&url.value) {
        let path = section.path_of("allow_http");
        url.problem(format!("would send {what} unencrypted; use https, or set `{path} = true`"));
    }
}

/// Whether an address is on the loopback interface or named `localhost`.
pub(super) fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.ends_with(".localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are_loopback() {
        let is = |text: &str| is_loopback(&Url::parse(text).unwrap());
        for here in
            ["http://localhost:1", "http://127.0.0.1/x", "http://127.9.9.9", "http://[::1]:8", "http://LOCALHOST"]
        {
            assert!(is(here), "{here}");
        }
        for there in ["http://localhost.example.com", "http://10.0.0.1", "http://[::2]", "http://127.0.0.1.example.com"]
        {
            assert!(!is(there), "{there}");
        }
    }
}
