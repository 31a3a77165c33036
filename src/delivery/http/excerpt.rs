//! The excerpt of a receiver's answer that is recorded with the attempt: its start, with the endpoint's secrets masked, for a
//! receiver may repeat them.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};

/// The size limit of an excerpt, in bytes of UTF-8.
const KEPT_BYTES: usize = 512;

/// How much of an answer is searched for secrets: enough to recognise a whole secret that begins within the excerpt.
pub const READ_BYTES: usize = 4 * KEPT_BYTES;

/// Shorter words are no secrets, and too common to be masked.
const SHORTEST: usize = 4;

/// What replaces a secret.
const REDACTED: &str = "[redacted]";

/// The secrets that no excerpt may repeat. Its `Debug` form shows none of them.
#[derive(Clone, Default)]
pub struct SecretMask {
    /// The longest first, so that masking one leaves no part of a longer one.
    secrets: Vec<SecretString>,
}

impl fmt::Debug for SecretMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretMask").field("secrets", &self.secrets.len()).finish()
    }
}

impl SecretMask {
    /// Masks these words: signing secrets, passwords, and the parts of an address that may be secret.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut secrets: Vec<_> = secrets.into_iter().filter(|secret| secret.len() >= SHORTEST).collect();
        // Some JSON encoders escape the slash.
        let escaped: Vec<_> =
            secrets.iter().filter(|secret| secret.contains('/')).map(|s| s.replace('/', "\\/")).collect();
        // A path of the address may be configured in percent-encoding and be repeated without.
        let decoded: Vec<_> = secrets
            .iter()
            .filter_map(|secret| percent_decode_str(secret).decode_utf8().ok().filter(|text| text != secret))
            .map(Cow::into_owned)
            .filter(|secret| secret.len() >= SHORTEST)
            .collect();
        secrets.extend(escaped.into_iter().chain(decoded));
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { secrets: secrets.into_iter().map(SecretString::from).collect() }
    }

    /// Returns the excerpt of an answer that begins with `start`; `None` if it is blank. Control characters become spaces.
    #[must_use]
    pub fn excerpt(&self, start: &[u8]) -> Option<Box<str>> {
        let mut text = String::from_utf8_lossy(&start[..start.len().min(READ_BYTES)]).into_owned();
        for secret in &self.secrets {
            text = text.replace(secret.expose_secret(), REDACTED);
            text = encoded_masked(text, secret.expose_secret().as_bytes());
        }
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let text = text.trim();
        let end = text.floor_char_boundary(KEPT_BYTES);
        (!text.is_empty()).then(|| text[..end].into())
    }
}

/// Masks a secret that is wholly or partly in percent-encoding.
fn encoded_masked(text: String, secret: &[u8]) -> String {
    if !text.contains('%') {
        return text;
    }
    let bytes = text.as_bytes();
    // Each byte that is meant, with where it begins.
    let mut meant = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).filter(|_| *byte == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        let encoded = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        meant.push((encoded.unwrap_or(*byte), at));
        at += if encoded.is_some() { 3 } else { 1 };
    }
    let (mut masked, mut from, mut next) = (String::new(), 0, 0);
    while let Some(window) = meant.get(next..next + secret.len()) {
        if !window.iter().map(|(byte, _)| byte).eq(secret) {
            next += 1;
            continue;
        }
        let (begin, end) = (meant[next].1, meant.get(next + secret.len()).map_or(text.len(), |(_, at)| *at));
        next += secret.len();
        // A secret is whole characters, and so is what it stands for.
        masked.push_str(text.get(from..begin).unwrap_or_default());
        masked.push_str(REDACTED);
        from = end;
    }
    masked.push_str(text.get(from..).unwrap_or_default());
    masked
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_masked_the_longest_first() {
        let mask = SecretMask::new(["hook".to_owned(), "/hook/s3cret".to_owned(), "a".to_owned()]);
        assert_eq!(
            mask.excerpt(b"no such path: /hook/s3cret, hook a").as_deref(),
            Some("no such path: [redacted], [redacted] a")
        );
        assert!(!format!("{mask:?}").contains("s3cret"));
    }

    #[test]
    fn a_secret_is_masked_in_its_json_escaped_form_too() {
        let mask = SecretMask::new(["dXNlcjo/cGFzc3dvcmQ=".to_owned()]);
        let kept = mask.excerpt(br#"{"got":"Basic dXNlcjo\/cGFzc3dvcmQ="}"#);
        assert_eq!(kept.as_deref(), Some(r#"{"got":"Basic [redacted]"}"#));
    }

    #[test]
    fn a_secret_is_masked_in_percent_encoding_too_however_much_of_it_is_encoded() {
        let mask = SecretMask::new(["s3cr/et+ü=".to_owned(), "caf%C3%A9-hook".to_owned()]);
        for repeated in ["s3cr/et+ü=", "s3cr%2Fet%2b%C3%BC%3D", "%733cr%2fet+ü%3d", "%73%33%63%72%2F%65%74%2B%C3%BC%3D"]
        {
            let kept = mask.excerpt(format!("é% at {repeated}?x=%zz%2").as_bytes()).unwrap();
            assert_eq!(&*kept, "é% at [redacted]?x=%zz%2", "{repeated}");
        }
        assert_eq!(mask.excerpt("/café-hook".as_bytes()).as_deref(), Some("/[redacted]"));
        assert_eq!(
            mask.excerpt("/caf%c3%a9-hook, caf%C3%A9-hook".as_bytes()).as_deref(),
            Some("/[redacted], [redacted]")
        );
        assert_eq!(mask.excerpt(b"100% sure").as_deref(), Some("100% sure"));
    }

    #[test]
    fn a_blank_answer_has_no_excerpt_and_control_characters_become_spaces() {
        let mask = SecretMask::default();
        assert_eq!(mask.excerpt(b""), None);
        assert_eq!(mask.excerpt(b" \r\n"), None);
        assert_eq!(mask.excerpt(b"\x1b[31mred\r\nline").as_deref(), Some("[31mred  line"));
    }

    #[test]
    fn a_secret_that_begins_within_the_excerpt_is_masked_whole() {
        let secret = "x".repeat(100);
        let answer = format!("{}{secret}", "a".repeat(KEPT_BYTES - 50));
        let kept = SecretMask::new([secret]).excerpt(answer.as_bytes()).unwrap();
        assert!(!kept.contains('x'), "{kept}");
    }

    proptest! {
        #[test]
        fn an_excerpt_never_exceeds_its_limit(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
            let kept = SecretMask::new(["abcd".to_owned()]).excerpt(&bytes);
            prop_assert!(kept.is_none_or(|kept| kept.len() <= KEPT_BYTES));
        }
    }
}
