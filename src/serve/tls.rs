//! TLS of the server: a certificate that is read again when its file changes, and, if asked for, certificates of the clients.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// The longest file that is read.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The files that TLS is made of, all PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and the chain behind it.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Who a client's certificate has to come from; without it, no client is asked for one.
    pub client_authority: Option<PathBuf>,
}

/// Why TLS cannot be set up so. Repeats nothing of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadServerTls {
    #[error("the certificate cannot be read, or holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)")]
    Certificate,
    #[error(
        "the key cannot be read, or holds no private key in PEM form that is not encrypted (`-----BEGIN PRIVATE KEY-----`)"
    )]
    Key,
    #[error("the certificate and the key do not go together, or are of a kind that cannot be used")]
    Mismatch,
    #[error(
        "the clients' authority cannot be read, or holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)"
    )]
    ClientAuthority,
}

/// When each file was last changed, and how long it was.
type Stamps = Vec<Option<(SystemTime, u64)>>;

/// TLS as it is at the time.
pub struct Tls {
    files: TlsFiles,
    config: RwLock<Arc<ServerConfig>>,
    seen: Mutex<Stamps>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files. Does file IO; not for a task.
    ///
    /// # Errors
    /// [`BadServerTls`]
    pub fn load(files: &TlsFiles) -> Result<Self, BadServerTls> {
        // Looked at first: what changes while it is read is read once more at the next look.
        let seen = stamps(files);
        let config = RwLock::new(Arc::new(read(files)?));
        Ok(Self { files: files.clone(), config, seen: Mutex::new(seen) })
    }

    /// What the next connection is greeted with.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again if one of them has changed. What is no good is told once, and the old certificate stays. Does
    /// file IO; not for a task.
    pub fn look(&self) {
        let now = stamps(&self.files);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return;
        }
        *seen = now;
        match read(&self.files) {
            Ok(config) => {
                *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                tracing::info!("the server's certificate changed and was read again");
            }
            Err(error) => {
                tracing::error!("the server's certificate changed, and the one before stays in use: {error}");
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

/// The certificate that the server shows, without its chain: whoever reads the configuration knows the daemon by it. Does file
/// IO.
///
/// # Errors
/// [`BadServerTls::Certificate`]
pub fn own_certificate(files: &TlsFiles) -> Result<CertificateDer<'static>, BadServerTls> {
    certificates(&files.certificate).and_then(|all| all.into_iter().next()).ok_or(BadServerTls::Certificate)
}
