//! Standard Webhooks 1.0 signatures: `v1,` and the base64 of an HMAC-SHA256 over `{id}.{timestamp}.{body}`.
//!
//! Source: the Standard Webhooks specification, sections "Signature scheme" and "Verifying webhook authenticity".

use std::fmt;
use std::time::Duration;

use data_encoding::{BASE64, BASE64_NOPAD};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// How far a timestamp may differ from the receiver's clock, as in the specification's own libraries.
pub const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// The allowed length of a key, in bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The prefix of a secret in text form.
const PREFIX: &str = "whsec_";

/// How many signatures of one header are checked. A rotation needs two or three; a stranger could send thousands.
const MAX_SIGNATURES: usize = 32;

/// A shared signing key. Its `Debug` form shows nothing of it, and its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct SigningSecret {
    key: SecretSlice<u8>,
}

/// Why a text is not a signing secret. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    #[error("a signing secret is `whsec_` followed by base64; this one is empty; `meetwatch secret new` makes one")]
    Empty,
    #[error(
        "a signing secret is `whsec_` followed by base64; what follows here is not base64; `meetwatch secret new` makes one"
    )]
    NotBase64,
    #[error("a signing secret encodes 24 to 64 bytes; this one encodes {0}; `meetwatch secret new` makes one")]
    Length(usize),
}

impl SigningSecret {
    /// Parses `whsec_` followed by base64 of 24 to 64 bytes. Like the specification's own libraries, it accepts the base64
    /// without the prefix, without padding and with white space around it.
    ///
    /// # Errors
    /// [`InvalidSecret`]
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let text = text.trim();
        let text = text.strip_prefix(PREFIX).unwrap_or(text).trim_end_matches('=');
        if text.is_empty() {
            return Err(InvalidSecret::Empty);
        }
        let key = BASE64_NOPAD.decode(text.as_bytes()).map_err(|_| InvalidSecret::NotBase64)?;
        Self::from_bytes(key)
    }

    /// Makes a secret of 24 to 64 random bytes.
    ///
    /// # Errors
    /// [`InvalidSecret::Length`] for fewer or more.
    pub fn from_bytes(key: Vec<u8>) -> Result<Self, InvalidSecret> {
        if SECRET_BYTES.contains(&key.len()) {
            Ok(Self { key: key.into() })
        } else {
            Err(InvalidSecret::Length(key.len()))
        }
    }

    /// Returns the secret as it is handed to a receiver: `whsec_…`. Show it to its owner only.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", BASE64.encode(self.key.expose_secret()))
    }

    /// Returns the signature of one attempt, `v1,…`. `timestamp` is the time of the attempt, in seconds since 1970.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        format!("v1,{}", BASE64.encode(&self.mac(id, &timestamp.to_string(), body)))
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> [u8; 32] {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose_secret()).expect("any length");
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret([redacted])")
    }
}

/// Why a message is not authentic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    #[error("the timestamp is not a number of seconds")]
    BadTimestamp,
    #[error("the timestamp is too old")]
    TooOld,
    #[error("the timestamp is too far in the future")]
    TooNew,
    #[error("no signature matches")]
    NoMatch,
}

/// Verifies that one of the signatures in `signature_header` (separated by spaces) was made with one of `secrets` over this
/// id, timestamp and body, and that the timestamp differs from `now` by at most `tolerance`. Signature versions other than
/// `v1` are skipped.
///
/// # Errors
/// [`VerifyError`], in the order of its variants.
pub fn verify(
    secrets: &[SigningSecret],
    id: &str,
    timestamp: &str,
    signature_header: &str,
    body: &[u8],
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), VerifyError> {
    let seconds: i64 = timestamp.parse().map_err(|_| VerifyError::BadTimestamp)?;
    let age = now.as_second().saturating_sub(seconds);
    if age.unsigned_abs() > tolerance.as_secs() {
        return Err(if age > 0 { VerifyError::TooOld } else { VerifyError::TooNew });
    }
    let given: Vec<Vec<u8>> = signature_header
        .split(' ')
        .filter_map(|signature| signature.strip_prefix("v1,"))
        .take(MAX_SIGNATURES)
        .filter_map(|signature| BASE64.decode(signature.as_bytes()).ok())
        .collect();
    let mut matches = Choice::from(0);
    for secret in secrets {
        let expected = secret.mac(id, timestamp, body);
        for signature in &given {
            matches |= expected.ct_eq(signature);
        }
    }
    if matches.into() { Ok(()) } else { Err(VerifyError::NoMatch) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const SENT: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn secret() -> SigningSecret {
        SigningSecret::parse(SECRET).unwrap()
    }

    fn check(secrets: &[SigningSecret], header: &str, body: &[u8], now: i64) -> Result<(), VerifyError> {
        verify(secrets, ID, &SENT.to_string(), header, body, Timestamp::from_second(now).unwrap(), TOLERANCE)
    }

    #[test]
    fn the_published_vector_is_reproduced() {
        assert_eq!(secret().sign(ID, SENT, BODY), SIGNATURE);
        assert_eq!(check(&[secret()], SIGNATURE, BODY, SENT), Ok(()));
    }

    #[test]
    fn one_matching_pair_of_signature_and_secret_suffices() {
        let other = SigningSecret::from_bytes(vec![7; 32]).unwrap();
        let header = format!("{} v1a,AAAA v1,%%% {SIGNATURE}", other.sign("else", SENT, BODY));
        assert_eq!(check(&[other.clone(), secret()], &header, BODY, SENT), Ok(()));
        assert_eq!(check(&[other], &header, BODY, SENT), Err(VerifyError::NoMatch));
    }

    #[test]
    fn a_changed_body_a_missing_signature_and_a_truncated_one_do_not_match() {
        let no_match = Err(VerifyError::NoMatch);
        assert_eq!(check(&[secret()], SIGNATURE, b"{}", SENT), no_match);
        assert_eq!(check(&[secret()], "", BODY, SENT), no_match);
        assert_eq!(check(&[secret()], &SIGNATURE[..20], BODY, SENT), no_match);
        assert_eq!(check(&[], SIGNATURE, BODY, SENT), no_match);
    }

    #[test]
    fn a_timestamp_beyond_the_tolerance_is_refused_in_either_direction() {
        let limit = i64::try_from(TOLERANCE.as_secs()).unwrap();
        assert_eq!(check(&[secret()], SIGNATURE, BODY, SENT + limit), Ok(()));
        assert_eq!(check(&[secret()], SIGNATURE, BODY, SENT - limit), Ok(()));
        assert_eq!(check(&[secret()], SIGNATURE, BODY, SENT + limit + 1), Err(VerifyError::TooOld));
        assert_eq!(check(&[secret()], SIGNATURE, BODY, SENT - limit - 1), Err(VerifyError::TooNew));
        for bad in ["", "now", "1614265330.5", "99999999999999999999"] {
            let now = Timestamp::from_second(SENT).unwrap();
            let result = verify(&[secret()], ID, bad, SIGNATURE, BODY, now, TOLERANCE);
            assert_eq!(result, Err(VerifyError::BadTimestamp), "{bad}");
        }
    }

    #[test]
    fn a_bad_secret_is_refused_without_being_repeated() {
        assert_eq!(SigningSecret::parse("whsec_").unwrap_err(), InvalidSecret::Empty);
        assert_eq!(SigningSecret::parse("").unwrap_err(), InvalidSecret::Empty);
        for bad in ["p@ssphrase", "c2hvcnQ=", &BASE64.encode(&[1; 65])] {
            let error = SigningSecret::parse(&format!("whsec_{bad}")).unwrap_err();
            assert!(!format!("{error} {error:?}").contains(bad.trim_end_matches('=')), "{error}");
        }
        assert_eq!(SigningSecret::parse("whsec_c2hvcnQ=").unwrap_err(), InvalidSecret::Length(5));
    }

    #[test]
    fn prefix_and_padding_are_optional_and_a_secret_is_never_shown() {
        let secret = SigningSecret::from_bytes((0..32).collect()).unwrap();
        let written = secret.reveal();
        assert!(written.starts_with("whsec_"));
        for same in [written.as_str(), &written[6..], written.trim_end_matches('='), &format!(" {written}\n")] {
            assert_eq!(SigningSecret::parse(same).unwrap().sign("a", 1, b"x"), secret.sign("a", 1, b"x"));
        }
        assert_eq!(format!("{secret:?}"), "SigningSecret([redacted])");
    }
}
