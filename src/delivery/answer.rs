//! The start of a receiver's answer, as it is kept with the attempt: short, and without the endpoint's secrets, which a
//! receiver may well repeat.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// How much of an answer is kept, in bytes of UTF-8.
pub const KEPT_BYTES: usize = 512;

/// Of an answer so much is looked at: enough for any secret that begins within what is kept to be recognised whole.
pub const READ_BYTES: usize = 4 * KEPT_BYTES;

/// Shorter words are too common to be taken out, and no secret.
const SHORTEST: usize = 4;

/// What stands in a secret's place.
const REDACTED: &str = "[redacted]";

/// The words that no kept answer may hold. Its `Debug` form shows none of them.
#[derive(Clone, Default)]
pub struct Redaction {
    /// The longest first, so that none hides a part of another.
    secrets: Vec<SecretString>,
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redaction").field("secrets", &self.secrets.len()).finish()
    }
}

impl Redaction {
    /// Takes these out: signing secrets, passwords, and the parts of an address that may be one.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut secrets: Vec<_> = secrets.into_iter().filter(|secret| secret.len() >= SHORTEST).collect();
        // Some languages write JSON so.
        let escaped: Vec<_> =
            secrets.iter().filter(|secret| secret.contains('/')).map(|s| s.replace('/', "\\/")).collect();
        secrets.extend(escaped);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { secrets: secrets.into_iter().map(SecretString::from).collect() }
    }

    /// What is kept of an answer that begins with `start`; `None` where it says nothing. Control characters become
    /// spaces.
    #[must_use]
    pub fn keep(&self, start: &[u8]) -> Option<Box<str>> {
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
    fn secrets_are_taken_out_the_longest_first() {
        let redaction = Redaction::new(["hook".to_owned(), "/hook/s3cret".to_owned(), "a".to_owned()]);
        assert_eq!(
            redaction.keep(b"no such path: /hook/s3cret, hook a").as_deref(),
            Some("no such path: [redacted], [redacted] a")
        );
        assert!(!format!("{redaction:?}").contains("s3cret"));
    }

    #[test]
    fn a_secret_is_taken_out_as_json_has_it_too() {
        let redaction = Redaction::new(["dXNlcjo/cGFzc3dvcmQ=".to_owned()]);
        let kept = redaction.keep(br#"{"got":"Basic dXNlcjo\/cGFzc3dvcmQ="}"#);
        assert_eq!(kept.as_deref(), Some(r#"{"got":"Basic [redacted]"}"#));
    }

    #[test]
    fn nothing_is_kept_of_nothing_and_no_control_character() {
        let redaction = Redaction::default();
        assert_eq!(redaction.keep(b""), None);
        assert_eq!(redaction.keep(b" \r\n"), None);
        assert_eq!(redaction.keep(b"\x1b[31mred\r\nline").as_deref(), Some("[31mred  line"));
    }

    #[test]
    fn a_secret_that_begins_within_what_is_kept_is_not_cut_in_half() {
        let secret = "x".repeat(100);
        let answer = format!("{}{secret}", "a".repeat(KEPT_BYTES - 50));
        let kept = Redaction::new([secret]).keep(answer.as_bytes()).unwrap();
        assert!(!kept.contains('x'), "{kept}");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_kept_short(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
            let kept = Redaction::new(["abcd".to_owned()]).keep(&bytes);
            prop_assert!(kept.is_none_or(|kept| kept.len() <= KEPT_BYTES));
        }
    }
}
