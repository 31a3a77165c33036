//! How the command line reaches the daemon that a configuration describes: over TCP or a Unix socket, plain or with TLS.
//!
//! With TLS, the daemon is authenticated by the certificate in the configuration: no authority is trusted and no host name is
//! compared.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use reqwest::{ClientBuilder, Url};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs::default_provider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::config::Config;
use crate::serve::settings::{Listen, own_certificate};

/// The address of a daemon, and how to connect to it.
#[derive(Debug)]
pub(super) struct DaemonAddress {
    /// The base URL of the API.
    pub(super) base: Url,
    /// The address as messages show it.
    pub(super) display: String,
    socket: Option<PathBuf>,
    certificate: Option<CertificateDer<'static>>,
}

impl DaemonAddress {
    /// Returns the address of the daemon that runs with this configuration on this machine.
    ///
    /// # Errors
    /// Where the port is not known in advance, where the daemon requires client certificates, or where its certificate
    /// cannot be read.
    pub(super) fn from_config(config: &Config) -> anyhow::Result<Self> {
        let certificate = match &config.server.tls {
            Some(files) if files.client_authority.is_some() => bail!(
                "the daemon requires client certificates (`server.tls_client_authority`), and the command line has none; use another \
                 HTTP client, such as curl with `--cert`"
            ),
            Some(files) => Some(own_certificate(files)?),
            None => None,
        };
        let scheme = if certificate.is_some() { "https" } else { "http" };
        let (authority, socket) = match &config.server.listen {
            Listen::Tcp(address) => (local_address(*address)?.to_string(), None),
            Listen::Unix { path, .. } => ("localhost".to_owned(), Some(path.clone())),
        };
        let base = Url::parse(&format!("{scheme}://{authority}/api/v1/"))?;
        let display = match &socket {
            Some(_) => config.server.listen.to_string(),
            None => format!("{scheme}://{authority}"),
        };
        Ok(Self { base, display, socket, certificate })
    }

    /// Makes a client connect to this address.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub(super) fn configure(&self, client: ClientBuilder) -> anyhow::Result<ClientBuilder> {
        let client = match &self.socket {
            Some(path) => client.unix_socket(path.as_path()),
            None => client,
        };
        let Some(certificate) = self.certificate.clone() else {
            // Without a certificate it is plain http, so the machine need not have CA certificates.
            return Ok(client.tls_certs_only([]));
        };
        let provider = Arc::new(default_provider());
        let pinned = PinnedCertificate { certificate, provider: Arc::clone(&provider) };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pinned))
            .with_no_client_auth();
        Ok(client.tls_backend_preconfigured(config))
    }
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
