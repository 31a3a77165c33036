//! The excerpt of a receiver's answer that is recorded with the attempt: its start, with the endpoint's secrets masked, for a
//! receiver may repeat them.

use std::fmt;

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
        secrets.extend(escaped);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { secrets: secrets.into_iter().map(SecretString::from).collect() }
    }

    /// Returns the excerpt of an answer that begins with `start`; `None` if it is blank. Control characters become spaces.
    #[must_use]
    pub fn excerpt(&self, start: &[u8]) -> Option<Box<str>> {
        let mut text = String::from_utf8_lossy(&start[..start.len().min(READ_BYTES)]).into_owned();
        for secret in &self.secrets {
            text = text.replace(secret.expose_secret(), REDACTED);
        }
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let text = text.trim();
        let end = text.floor_char_boundary(KEPT_BYTES);
        (!text.is_empty()).then(|| text[..end].into())
    }
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
