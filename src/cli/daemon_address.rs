//! How the command line reaches a daemon: over TCP or a Unix socket, plain or with TLS.
//!
//! The daemon of a configuration is authenticated by the certificate that the configuration names: no authority is trusted
//! and no host name is compared. A daemon whose address the user gave is authenticated as any server is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{anyhow, bail};
use reqwest::redirect::Policy;
use reqwest::{ClientBuilder, Url};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs::default_provider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::config::ClientSettings;
use crate::serve::settings::{Listen, own_certificate};

/// The address of a daemon, and how to connect to it.
#[derive(Debug)]
pub(super) struct DaemonAddress {
    /// The URL under which all paths of the daemon are.
    pub(super) root: Url,
    /// The address as messages show it: without a password.
    pub(super) display: String,
    /// The configuration that names it; `None` if the user gave it.
    config: Option<PathBuf>,
    socket: Option<PathBuf>,
    certificate: Option<CertificateDer<'static>>,
}

impl DaemonAddress {
    /// Returns the address of the daemon that runs with this configuration on this machine.
    ///
    /// # Errors
    /// Where the port is not known in advance, where the daemon requires client certificates, or where its certificate
    /// cannot be read.
    pub(super) fn from_config(settings: &ClientSettings, config: &Path) -> anyhow::Result<Self> {
        if settings.asks_for_certificate {
            bail!(
                "the daemon requires client certificates (`server.tls_client_authority`), and the command line has none; use another \
                 HTTP client, such as curl with `--cert`"
            );
        }
        let certificate = settings.certificate.as_deref().map(certificate).transpose()?;
        let scheme = if certificate.is_some() { "https" } else { "http" };
        let (authority, socket) = match &settings.listen {
            Listen::Tcp(address) => (local_address(*address)?.to_string(), None),
            Listen::Unix { path, .. } => ("localhost".to_owned(), Some(path.clone())),
        };
        let root = Url::parse(&format!("{scheme}://{authority}/"))?;
        let display = match &socket {
            Some(_) => settings.listen.to_string(),
            None => format!("{scheme}://{authority}"),
        };
        Ok(Self { root, display, config: Some(config.to_owned()), socket, certificate })
    }

    /// Parses an address that a user gave: `http://…`, `https://…` or `unix:PATH`.
    ///
    /// # Errors
    /// The end of a sentence about the address. It does not repeat the address, which may hold a password.
    pub(super) fn from_url(text: &str) -> Result<Self, &'static str> {
        const SHAPE: &str = "must be an address such as http://127.0.0.1:9840, https://meetwatch.example.com or unix:/run/meetwatch/http.sock";
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            let root = Url::parse("http://localhost/").map_err(|_| SHAPE)?;
            path.file_name().ok_or(SHAPE)?;
            return Ok(Self { root, display: text.to_owned(), config: None, socket: Some(path), certificate: None });
        }
        let mut root = Url::parse(text).map_err(|_| SHAPE)?;
        let (scheme, host) = (root.scheme(), root.host_str().unwrap_or_default());
        if !matches!(scheme, "http" | "https") || host.is_empty() {
            return Err(SHAPE);
        }
        let port = root.port().map(|port| format!(":{port}")).unwrap_or_default();
        let display = format!("{scheme}://{host}{port}");
        root.set_query(None);
        root.set_fragment(None);
        Ok(Self { root, display, config: None, socket: None, certificate: None })
    }

    /// The configuration that names the address; `None` if the user gave it.
    pub(super) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// Whether the address itself holds a user and a password.
    pub(super) fn has_password(&self) -> bool {
        self.root.password().is_some()
    }

    /// Removes the password, so that a token can take its place.
    pub(super) fn without_password(&mut self) {
        // They fail for addresses without a host, which are not accepted.
        let _ = self.root.set_username("");
        let _ = self.root.set_password(None);
    }

    /// Returns the URL of a path of the daemon, given as its segments. Each is percent-encoded, so a name cannot change the
    /// path.
    ///
    /// # Errors
    /// If the address cannot have paths.
    pub(super) fn url(&self, path: &[&str]) -> anyhow::Result<Url> {
        let mut url = self.root.clone();
        url.path_segments_mut().map_err(|()| anyhow!("the daemon's address has no paths"))?.pop_if_empty().extend(path);
        Ok(url)
    }

    /// Makes a client connect to this address. Its token is not handed on: a redirect is not followed.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub(super) fn configure(&self, client: ClientBuilder) -> anyhow::Result<ClientBuilder> {
        let client = client.redirect(Policy::none());
        let client = match &self.socket {
            Some(path) => client.unix_socket(path.as_path()),
            None => client,
        };
        let provider = Arc::new(default_provider());
        let tls = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let tls = match self.certificate.clone() {
            Some(certificate) => tls
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(PinnedCertificate { certificate, provider }))
                .with_no_client_auth(),
            // Without TLS, the authorities of this machine need not be there.
            None if self.root.scheme() == "http" => {
                tls.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
            }
            // By the authorities of this machine.
            None => return Ok(client),
        };
        Ok(client.tls_backend_preconfigured(tls))
    }
}

/// Reads the first certificate of a file.
fn certificate(path: &Path) -> anyhow::Result<CertificateDer<'static>> {
    let file = path.display();
    own_certificate(path).map_err(|error| {
        anyhow!("the daemon's certificate in {file} (`server.tls_certificate`) cannot be used to recognize it: {error}")
    })
}

/// Returns the address at which a daemon that listens on `address` is reached from this machine.
fn local_address(mut address: SocketAddr) -> anyhow::Result<SocketAddr> {
    if address.port() == 0 {
        bail!(
            "the configuration lets the daemon listen on any free port, so its port is not known; set a port in `server.listen`"
        );
    }
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(address)
}

/// Accepts exactly one certificate, whatever its names and issuer. It is the file that the daemon uses, so the owner of its key
/// is the daemon.
#[derive(Debug)]
struct PinnedCertificate {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *end_entity == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password_and_keeps_its_path() {
        let address = DaemonAddress::from_url("https://ada:hush@example.com:8443/meet/?x#y").unwrap();
        assert_eq!((address.display.as_str(), address.has_password()), ("https://example.com:8443", true));
        let url = address.url(&["api", "v1", "endpoints", "../x?y"]).unwrap();
        assert_eq!(url.as_str(), "https://ada:hush@example.com:8443/meet/api/v1/endpoints/..%2Fx%3Fy");
        let socket = DaemonAddress::from_url("unix:/run/m.sock").unwrap();
        assert_eq!((socket.display.as_str(), socket.root.as_str()), ("unix:/run/m.sock", "http://localhost/"));
        for bad in ["", "127.0.0.1:9840", "localhost:9840", "ftp://x", "http://", "unix:", "unix:/"] {
            assert!(DaemonAddress::from_url(bad).is_err(), "{bad}");
        }
    }
}
