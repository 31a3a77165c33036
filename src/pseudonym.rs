//! Pseudonyms: keyed hashes that stand for ids of people. Without the key nobody can lead one back to its id.

use std::fmt;
use std::sync::Arc;

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;

/// The length of a pseudonym in characters: 128 bits.
pub const LENGTH: usize = 26;

/// A key for pseudonyms. Its `Debug` form shows nothing of it.
#[derive(Clone)]
pub struct PseudonymKey(Arc<SecretSlice<u8>>);

impl PseudonymKey {
    /// Returns a key of these random bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes.into()))
    }

    /// Returns the pseudonym of a text: the first [`LENGTH`] characters of its HMAC-SHA-256 in base 32, in lower case.
    /// The same text always has the same pseudonym.
    #[must_use]
    pub fn pseudonym(&self, text: &str) -> String {
        let mut pseudonym = BASE32_NOPAD.encode(&self.mac(&[text])).to_ascii_lowercase();
        pseudonym.truncate(LENGTH);
        pseudonym
    }

    /// Returns the whole HMAC-SHA-256 of a text for one purpose. No pseudonym is the beginning of one: the purpose is
    /// followed by a zero byte, which no id of a person holds.
    #[must_use]
    pub fn digest(&self, purpose: &str, text: &str) -> [u8; 32] {
        self.mac(&[purpose, "\0", text])
    }

    fn mac(&self, parts: &[&str]) -> [u8; 32] {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).expect("any length");
        parts.iter().for_each(|part| mac.update(part.as_bytes()));
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_key_gives_another_pseudonym() {
        let pseudonym = |byte| PseudonymKey::new(vec![byte; 32]).pseudonym("112233");
        assert_ne!(pseudonym(1), pseudonym(2));
        assert_eq!(pseudonym(1), pseudonym(1));
        assert_eq!(pseudonym(1).len(), LENGTH);
    }

    #[test]
    fn pseudonyms_are_the_same_in_every_version() {
        let key = PseudonymKey::new(vec![1; 32]);
        assert_eq!(key.pseudonym("112233"), "ecuqr7accysei2wqzqszfuwh6p");
        assert_eq!(key.pseudonym("forgotten:users/112233"), "xp75b6papyjm2huhjx2jsbo7tf");
    }
}
