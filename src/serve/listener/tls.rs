//! TLS of the server: a certificate that is reloaded when its file changes, and optionally client certificates.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// The largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The files for TLS, all PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and its chain.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The CA that client certificates must come from; without it, clients need no certificate.
    pub client_authority: Option<PathBuf>,
}

/// Why TLS cannot be set up with these files. Contains nothing of their content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadServerTls {
    #[error("the certificate cannot be read, or its file contains no PEM certificate (`-----BEGIN CERTIFICATE-----`)")]
    Certificate,
    #[error(
        "the key cannot be read, or its file contains no unencrypted PEM private key (`-----BEGIN PRIVATE KEY-----`)"
    )]
    Key,
    #[error("the certificate and the key do not match, or their type is not supported")]
    Mismatch,
    #[error("the client CA cannot be read, or its file contains no PEM certificate (`-----BEGIN CERTIFICATE-----`)")]
    ClientAuthority,
}

/// The modification time and size of each file.
type Stamps = Vec<Option<(SystemTime, u64)>>;

/// The TLS configuration in use.
pub struct Tls {
    files: TlsFiles,
    config: RwLock<Arc<ServerConfig>>,
    stamps: Mutex<Stamps>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files. Blocking.
    ///
    /// # Errors
    /// [`BadServerTls`]
    pub fn load(files: &TlsFiles) -> Result<Self, BadServerTls> {
        // Before reading: a file that changes meanwhile is read again by the next `reload_if_changed`.
        let stamps = Mutex::new(stamps(files));
        let config = RwLock::new(Arc::new(read(files)?));
        Ok(Self { files: files.clone(), config, stamps })
    }

    /// Returns the configuration for the next handshake.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again if one of them has changed. If they cannot be used, logs that once per change and keeps the
    /// certificate in use. Blocking.
    pub fn reload_if_changed(&self) {
        let now = stamps(&self.files);
        let mut seen = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return;
        }
        *seen = now;
        match read(&self.files) {
            Ok(config) => {
                *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                tracing::info!("the server certificate changed on disk and was reloaded");
            }
            Err(error) => {
                tracing::error!(
                    "the server certificate changed on disk but cannot be used, so the previous one stays in use: {error}"
                );
            }
        }
    }
}

fn stamps(files: &TlsFiles) -> Stamps {
    let stamp = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    [Some(&files.certificate), Some(&files.key), files.client_authority.as_ref()]
        .into_iter()
        .map(|path| path.and_then(|path| stamp(path)))
        .collect()
}

fn contents(path: &Path) -> Option<Vec<u8>> {
    use std::io::Read as _;
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(MAX_FILE_BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn certificates(path: &Path) -> Option<Vec<CertificateDer<'static>>> {
    let bytes = contents(path)?;
    let all = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>().ok()?;
    (!all.is_empty()).then_some(all)
}

fn read(files: &TlsFiles) -> Result<ServerConfig, BadServerTls> {
    let chain = certificates(&files.certificate).ok_or(BadServerTls::Certificate)?;
    let key = contents(&files.key).and_then(|bytes| PrivateKeyDer::from_pem_slice(&bytes).ok());
    let key = key.ok_or(BadServerTls::Key)?;
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|_| BadServerTls::Mismatch)?;
    let builder = match &files.client_authority {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(path).ok_or(BadServerTls::ClientAuthority)? {
                roots.add(root).map_err(|_| BadServerTls::ClientAuthority)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().map_err(|_| BadServerTls::ClientAuthority)?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|_| BadServerTls::Mismatch)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Returns the certificate that the server presents, without its chain. The command line recognizes the daemon by it.
/// Blocking.
///
/// # Errors
/// [`BadServerTls::Certificate`]
pub fn own_certificate(path: &Path) -> Result<CertificateDer<'static>, BadServerTls> {
    certificates(path).and_then(|all| all.into_iter().next()).ok_or(BadServerTls::Certificate)
}
