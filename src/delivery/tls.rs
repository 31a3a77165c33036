//! TLS of one endpoint: a client certificate to show, and an authority of its own to trust.

use std::fmt;

use reqwest::{Certificate, ClientBuilder, Identity};

/// What an endpoint's TLS needs beyond the usual. Its `Debug` form shows no key.
#[derive(Clone, Default)]
pub struct TlsSettings {
    identity: Option<Identity>,
    /// The only authorities that are trusted; the usual ones where there is none.
    authorities: Vec<Certificate>,
}

/// Why TLS cannot be set up so. Repeats nothing of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTls {
    #[error("must hold at least one certificate in PEM form (`-----BEGIN CERTIFICATE-----`)")]
    NoCertificate,
    #[error("must hold a private key in PEM form that is not encrypted (`-----BEGIN PRIVATE KEY-----`)")]
    NoKey,
    #[error("the client certificate and its key do not go together, or are of a kind that cannot be used")]
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
    /// Shows this certificate, with its chain, to whoever asks for one. Both are PEM.
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
        // Whether they go together shows only when they are used.
        settings.apply(reqwest::Client::builder()).build().map_err(|_| BadTls::Mismatch)?;
        Ok(settings)
    }

    /// Trusts these authorities and no others. PEM, one or more.
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
