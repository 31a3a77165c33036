//! TLS of one endpoint: its client certificate, and its own certificate authorities.

use std::fmt;

use reqwest::{Certificate, ClientBuilder, Identity};

use crate::tls_roots;

/// What an endpoint's TLS needs beyond the defaults. Its `Debug` form shows no key.
#[derive(Clone, Default)]
pub struct TlsSettings {
    identity: Option<Identity>,
    /// The only authorities that are trusted; if empty, those of the machine.
    authorities: Vec<Certificate>,
}

/// Why TLS cannot be set up. Repeats nothing of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTls {
    #[error("must hold at least one certificate in PEM form (`-----BEGIN CERTIFICATE-----`)")]
    NoCertificate,
    #[error("must hold a private key in PEM form that is not encrypted (`-----BEGIN PRIVATE KEY-----`)")]
    NoKey,
    #[error("the client certificate and its key do not match, or are of an unsupported kind")]
    Mismatch,
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings")
            .field("client_certificate", &self.identity.is_some())
            .field("authorities", &self.authorities.len())
            .finish()
    }
}

impl TlsSettings {
    /// Authenticates with this certificate chain and key, both in PEM form, where the server asks for a certificate.
    ///
    /// # Errors
    /// [`BadTls`]
    pub fn with_client_certificate(self, chain: &str, key: &str) -> Result<Self, BadTls> {
        if !chain.contains("-----BEGIN CERTIFICATE-----") {
            return Err(BadTls::NoCertificate);
        }
        if !key.contains("PRIVATE KEY-----") || key.contains("ENCRYPTED") {
            return Err(BadTls::NoKey);
        }
        let identity = Identity::from_pem(format!("{key}\n{chain}").as_bytes()).map_err(|_| BadTls::NoKey)?;
        let settings = Self { identity: Some(identity), ..self };
        // Whether they match shows only when they are used.
        let client = || settings.apply(reqwest::Client::builder());
        tls_roots::build(client, false).map_err(|_| BadTls::Mismatch)?;
        Ok(settings)
    }

    /// Trusts these authorities only: one or more certificates in PEM form.
    ///
    /// # Errors
    /// [`BadTls::NoCertificate`]
    pub fn with_authorities(self, bundle: &str) -> Result<Self, BadTls> {
        let authorities = Certificate::from_pem_bundle(bundle.as_bytes()).unwrap_or_default();
        let settings = Self { authorities, ..self };
        let usable = || settings.apply(reqwest::Client::builder()).build().is_ok();
        if settings.authorities.is_empty() || !usable() {
            return Err(BadTls::NoCertificate);
        }
        Ok(settings)
    }

    pub(super) fn apply(&self, client: ClientBuilder) -> ClientBuilder {
        let client = match &self.identity {
            Some(identity) => client.identity(identity.clone()),
            None => client,
        };
        if self.authorities.is_empty() { client } else { client.tls_certs_only(self.authorities.iter().cloned()) }
    }
}
