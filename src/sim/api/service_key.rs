//! The RSA key of the simulator's service account: generated at first use, written in the format of Google's console,
//! and used to verify signatures.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest, Sha256};

/// The client id of a service account is its numeric account id.
const CLIENT_ID: &str = "104857600000000000001";
/// The address of the service account.
pub(super) const CLIENT_EMAIL: &str = "meetwatch@meetwatch-sim.iam.gserviceaccount.com";

/// No RSA key could be generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot generate an RSA key")]
pub struct KeyGenerationError;

#[derive(Debug)]
pub(super) struct ServiceKey {
    public: Vec<u8>,
    pem: String,
    id: String,
}

impl ServiceKey {
    pub(super) fn generate() -> Result<Self, KeyGenerationError> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyGenerationError)?;
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(|_| KeyGenerationError)?;
        let public = pair.public_key().as_ref().to_vec();
        let id = HEXLOWER.encode(&Sha256::digest(&public)[..20]);
        Ok(Self { public, pem: pem(der.as_ref()), id })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Returns whether `signature` is an RS256 signature of `message` by this key.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.public).verify(message, signature).is_ok()
    }

    /// Returns the content of the key file.
    pub(super) fn file(&self, base_url: &str) -> serde_json::Value {
        serde_json::json!({
            "type": "service_account",
            "project_id": "meetwatch-sim",
            "private_key_id": self.id,
            "private_key": self.pem,
            "client_email": CLIENT_EMAIL,
            "client_id": CLIENT_ID,
            "auth_uri": format!("{base_url}/auth"),
            "token_uri": format!("{base_url}/token"),
            "universe_domain": "googleapis.com",
        })
    }
}

fn pem(der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().copied().map(char::from));
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    pem
}
