//! The private key in a service account's file: as it was mangled on its way here, and whether it can sign.

use std::borrow::Cow;

use rustls::crypto::aws_lc_rs::sign::RsaSigningKey;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

/// Returns a key in PEM form with its line breaks. What passes a key through an environment variable or a template often
/// escapes them (`\\n`) or turns them into spaces.
pub(super) fn with_line_breaks(pem: &str) -> Cow<'_, str> {
    let unescaped = pem.replace("\\r", "").replace("\\n", "\n");
    let Some((label, body)) = parts(&unescaped) else { return Cow::Borrowed(pem) };
    let body: String = body.split_whitespace().collect();
    Cow::Owned(format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"))
}

/// The label of the first block, such as `PRIVATE KEY`, and the base64 in it.
fn parts(pem: &str) -> Option<(&str, &str)> {
    let (_, after) = pem.split_once("-----BEGIN ")?;
    let (label, after) = after.split_once("-----")?;
    let (body, _) = after.split_once("-----END ")?;
    Some((label, body))
}

/// Returns whether a key in PEM form is an RSA key that can sign, as the token endpoint of Google requires.
pub(super) fn can_sign(pem: &str) -> bool {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).is_ok_and(|key| RsaSigningKey::new(&key).is_ok())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rsa::{KeyPair, KeySize};

    use super::*;

    fn pem() -> String {
        let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let body = data_encoding::BASE64.encode(key.as_der().unwrap().as_ref());
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
    }

    #[test]
    fn a_key_whose_line_breaks_were_escaped_or_lost_can_sign() {
        let pem = pem();
        assert!(can_sign(&pem));
        for mangled in [
            pem.replace('\n', "\\n"),
            pem.replace('\n', "\\r\\n"),
            pem.replace('\n', "\r\n"),
            pem.replace('\n', " "),
            format!("\n{pem}\n\n"),
        ] {
            assert!(can_sign(&with_line_breaks(&mangled)), "{}", mangled.len());
        }
    }

    #[test]
    fn what_is_no_rsa_key_cannot_sign() {
        let pem = pem();
        let half = format!("{}\n-----END PRIVATE KEY-----\n", &pem[..pem.len() / 2]);
        let public = pem.replace("PRIVATE", "PUBLIC");
        for bad in
            ["", "k", "garbage", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", &half, &public]
        {
            assert!(!can_sign(&with_line_breaks(bad)), "{bad:?}");
        }
    }
}
