//! Why a daemon could not be asked, in one sentence for a user.

use std::error::Error as _;
use std::io;

use anyhow::anyhow;
use reqwest::StatusCode;
use rustls::CertificateError;

use super::daemon_address::DaemonAddress;

/// Explains why no answer came. No part of the address but host and port is repeated.
pub(super) fn unreachable(address: &DaemonAddress, error: &reqwest::Error) -> anyhow::Error {
    let host = &address.display;
    if let Some(tls) = cause::<rustls::Error>(error) {
        return anyhow!("{}", tls_failure(address, tls));
    }
    let kind = cause::<io::Error>(error).map(io::Error::kind);
    match (kind, address.config()) {
        (Some(io::ErrorKind::PermissionDenied), _) => anyhow!(
            "this user may not open the socket {host}; run the command as root, or as a user of the socket's group \
             (`server.socket_mode`)"
        ),
        _ if error.is_timeout() => anyhow!(
            "the daemon at {host} did not answer in time; check that no firewall is between, and that it is not overloaded"
        ),
        (_, Some(config)) if error.is_connect() => {
            let config = config.display();
            anyhow!("no daemon runs at {host}, the address in {config}; start it with: meetwatch run --config {config}")
        }
        (kind, None) if error.is_connect() => {
            anyhow!(
                "no daemon answers at {host}: {}; check the address, and that the daemon runs",
                refusal(kind, error)
            )
        }
        _ => anyhow!(
            "the server at {host} closed the connection without an answer; if it speaks TLS, its address begins with https://"
        ),
    }
}

/// Explains an answer that is none of meetwatch's.
pub(super) fn not_meetwatch(address: &DaemonAddress, status: StatusCode, content_type: &str) -> anyhow::Error {
    let (host, status) = (&address.display, status.as_u16());
    let what = if content_type.contains("html") {
        "an HTML page"
    } else if (300..400).contains(&status) {
        "a redirect"
    } else {
        "something else"
    };
    anyhow!(
        "the server at {host} is not meetwatch: it answered with {what} (status {status}); check the address, and any proxy in \
         front of the daemon"
    )
}

fn refusal(kind: Option<io::ErrorKind>, error: &reqwest::Error) -> &'static str {
    match kind {
        Some(io::ErrorKind::ConnectionRefused) => "the connection was refused",
        Some(io::ErrorKind::NotFound) => "the socket does not exist",
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => "there is no route to it",
        _ if chain(error).any(|cause| cause.to_string().contains("dns error")) => "its name is not known",
        _ => "the connection could not be made",
    }
}

fn tls_failure(address: &DaemonAddress, error: &rustls::Error) -> String {
    let host = &address.display;
    let rustls::Error::InvalidCertificate(certificate) = error else {
        return format!(
            "the server at {host} does not speak TLS as expected; if it has none, its address begins with http://"
        );
    };
    match certificate {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the certificate of the server at {host} has expired; renew it")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate of the server at {host} is not valid yet; check the clocks of both machines")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the certificate of the server at {host} is for another name; use the name that it is made out to")
        }
        CertificateError::ApplicationVerificationFailure if let Some(config) = address.config() => format!(
            "the server at {host} shows another certificate than the one in {}; it runs with another configuration, or with \
             the certificate from before a renewal",
            config.display()
        ),
        _ => format!(
            "this machine does not trust the certificate of the server at {host}; name the file of its authority in \
             SSL_CERT_FILE"
        ),
    }
}

fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |error| (**error).source())
}

/// Returns the first cause of this type.
fn cause<E: std::error::Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    for cause in chain(error) {
        // An error of IO shows the cause of the error that it was made of in place of that error.
        let mut inner = Some(cause);
        while let Some(error) = inner {
            if let Some(found) = error.downcast_ref::<E>() {
                return Some(found);
            }
            let made_of = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            inner = made_of.map(|error| error as &(dyn std::error::Error + 'static));
        }
    }
    None
}
