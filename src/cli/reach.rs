//! The way to the daemon that a configuration describes: an address and a port, or a socket; plain, or through TLS, by which the
//! daemon is known as the one that has the configured certificate.

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

/// The way there.
#[derive(Debug)]
pub(super) struct Way {
    /// Where the API is.
    pub(super) base: Url,
    /// How an operator is told of it.
    pub(super) shown: String,
    socket: Option<PathBuf>,
    certificate: Option<CertificateDer<'static>>,
}

impl Way {
    /// The way to the daemon of this configuration from this machine.
    ///
    /// # Errors
    /// Where nobody can know the way, or the command line may not go it.
    pub(super) fn of(config: &Config) -> anyhow::Result<Self> {
        let certificate = match &config.server.tls {
            Some(files) if files.client_authority.is_some() => bail!(
                "the daemon asks for client certificates (`server.tls_client_authority`), and the command line has none; ask it by \
                 other means, such as curl with `--cert`"
            ),
            Some(files) => Some(own_certificate(files)?),
            None => None,
        };
        let scheme = if certificate.is_some() { "https" } else { "http" };
        let (authority, socket) = match &config.server.listen {
            Listen::Tcp(address) => (address_here(*address)?.to_string(), None),
            Listen::Unix { path, .. } => ("localhost".to_owned(), Some(path.clone())),
        };
        let base = Url::parse(&format!("{scheme}://{authority}/api/v1/"))?;
        let shown = match &socket {
            Some(_) => config.server.listen.to_string(),
            None => format!("{scheme}://{authority}"),
        };
        Ok(Self { base, shown, socket, certificate })
    }

    /// Has a client go this way.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub(super) fn take(&self, client: ClientBuilder) -> anyhow::Result<ClientBuilder> {
        let client = match &self.socket {
            Some(path) => client.unix_socket(path.as_path()),
            None => client,
        };
        let Some(certificate) = self.certificate.clone() else { return Ok(client) };
        let provider = Arc::new(default_provider());
        let known = Known { certificate, provider: Arc::clone(&provider) };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(known))
            .with_no_client_auth();
        Ok(client.tls_backend_preconfigured(config))
    }
}

fn address_here(mut address: SocketAddr) -> anyhow::Result<SocketAddr> {
    if address.port() == 0 {
        bail!(
            "the configuration has the daemon listen on any free port, so nobody knows which; give `server.listen` one"
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

/// Takes one certificate and no other, whatever names it has and whoever issued it: it is the file's that the daemon uses, and
/// whoever has its key is the daemon.
#[derive(Debug)]
struct Known {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Known {
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
