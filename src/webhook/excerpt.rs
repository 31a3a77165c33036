//! How an answer's body begins, kept for those who look into what happened, and without what is secret: receivers in
//! trouble are fond of quoting the request.

use secrecy::{ExposeSecret as _, SecretString};

use super::settings::{EndpointSettings, Format};

/// How much is kept, in bytes.
pub const MAX_EXCERPT_BYTES: usize = 2048;

/// What stands for a secret.
const REDACTED: &str = "[redacted]";

/// Shorter texts are found everywhere and guessed at once; to take them out would only make an answer unreadable.
const MIN_SECRET_BYTES: usize = 6;

/// Makes excerpts of one endpoint's answers.
pub(super) struct Excerpt {
    /// What is taken out, the longest first.
    secrets: Vec<SecretString>,
}

impl Excerpt {
    pub(super) fn new(settings: &EndpointSettings) -> Self {
        let mut found: Vec<String> = Vec::new();
        for secret in &settings.secrets {
            let whole = secret.reveal();
            // Libraries print a key with and without its prefix and its padding.
            found.push(whole.trim_start_matches("whsec_").trim_end_matches('=').to_owned());
            found.push(whole);
        }
        found.extend(settings.headers.secrets().map(str::to_owned));
        let url = &settings.url;
        found.push(url.as_str().to_owned());
        found.push(url.path().to_owned());
        found
            .extend(url.path_segments().into_iter().flatten().filter(|segment| segment.len() >= 16).map(str::to_owned));
        found.extend(url.query().map(str::to_owned));
        found.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
        found.extend(url.password().map(str::to_owned));
        if let Format::Template(template) = &settings.format {
            found.extend(template.token().map(str::to_owned));
        }
        found.retain(|secret| secret.len() >= MIN_SECRET_BYTES);
        found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { secrets: found.into_iter().map(SecretString::from).collect() }
    }

    /// How much of a body is looked at: a secret that begins within what is kept has to be seen whole.
    pub(super) fn bytes_needed(&self) -> usize {
        let longest = self.secrets.first().map_or(0, |secret| secret.expose_secret().len());
        MAX_EXCERPT_BYTES + longest
    }

    /// The excerpt of a body of which at least [`bytes_needed`](Self::bytes_needed) bytes are given, if it has so many.
    pub(super) fn of(&self, body: &[u8]) -> Option<Box<str>> {
        if body.is_empty() {
            return None;
        }
        let mut text = String::from_utf8_lossy(body).into_owned();
        for secret in &self.secrets {
            if text.contains(secret.expose_secret()) {
                text = text.replace(secret.expose_secret(), REDACTED);
            }
        }
        let end = (0..=MAX_EXCERPT_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        Some(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::sign::SigningSecret;
    use super::*;
    use crate::model::EndpointName;

    fn excerpt() -> (Excerpt, String) {
        let secret = SigningSecret::from_bytes(vec![7; 32]).unwrap();
        let revealed = secret.reveal();
        let url = "https://user@hooks.example.com/services/T00000000/XXXXXXXXXXXXXXXXXXXXXXXX?token=s3cret-token";
        let mut settings =
            EndpointSettings::new(EndpointName::parse("ops").unwrap(), url.parse().unwrap(), vec![secret]);
        settings.headers.add_bearer("bearer-token").unwrap();
        settings.headers.add_line("X-Key: key-in-a-header").unwrap();
        (Excerpt::new(&settings), revealed)
    }

    #[test]
    fn a_secret_that_an_answer_quotes_is_taken_out() {
        let (excerpt, revealed) = excerpt();
        let said = format!(
            "no: {revealed} {} s3cret-token Bearer bearer-token key-in-a-header XXXXXXXXXXXXXXXXXXXXXXXX bye",
            &revealed[6..30]
        );
        let kept = excerpt.of(said.as_bytes()).unwrap();
        assert!(kept.starts_with("no: [redacted]") && kept.ends_with(" bye"), "{kept}");
        for secret in [&revealed[6..], "s3cret-token", "bearer-token", "key-in-a-header", "XXXXXXXX"] {
            assert!(!kept.contains(secret), "{secret} in {kept}");
        }
    }

    #[test]
    fn no_piece_of_a_secret_is_left_at_the_end_of_what_is_kept() {
        let (excerpt, revealed) = excerpt();
        for before in MAX_EXCERPT_BYTES - revealed.len() - 2..=MAX_EXCERPT_BYTES {
            let body = format!("{}{revealed}{}", ".".repeat(before), "x".repeat(4000));
            let seen = &body.as_bytes()[..excerpt.bytes_needed()];
            let kept = excerpt.of(seen).unwrap();
            assert!(kept.len() <= MAX_EXCERPT_BYTES && !kept.contains("whsec_") && !kept.contains(&revealed[6..14]));
        }
    }

    #[test]
    fn what_is_no_text_is_kept_as_far_as_it_can_be_shown() {
        let (excerpt, _) = excerpt();
        assert_eq!(excerpt.of(b""), None);
        assert_eq!(excerpt.of(b"a\xffb").as_deref(), Some("a\u{fffd}b"));
        let long = "é".repeat(MAX_EXCERPT_BYTES);
        assert_eq!(excerpt.of(long.as_bytes()).unwrap().len(), MAX_EXCERPT_BYTES);
    }
}
