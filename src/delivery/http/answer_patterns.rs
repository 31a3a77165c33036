//! Patterns on the start of an answer. Some receivers answer 200 and say only in the body that they refused the message. Pure.

use regex_lite::{Regex, RegexBuilder};

/// The limit of a pattern in bytes, and of what it is compiled to. Matching takes time in proportion to pattern and answer.
const MAX_PATTERN_BYTES: usize = 500;
const MAX_COMPILED_BYTES: usize = 64 << 10;

/// Which answers with a 2xx status are a success. Without patterns, all are.
#[derive(Debug, Clone, Default)]
pub struct AnswerPatterns {
    /// Only an answer that matches is a success.
    pub success: Option<AnswerPattern>,
    /// An answer that matches is a failure.
    pub failure: Option<AnswerPattern>,
}

/// A regular expression that is searched for in the start of an answer.
#[derive(Debug, Clone)]
pub struct AnswerPattern(Regex);

/// Why a text cannot be a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    #[error("is empty, and an empty pattern matches every answer; remove the key or write a pattern")]
    Empty,
    #[error("is longer than {MAX_PATTERN_BYTES} bytes; write a shorter pattern")]
    TooLong,
    #[error("is no regular expression that meetwatch can use: {0}; correct or simplify it")]
    Invalid(String),
}

impl AnswerPattern {
    /// Compiles a regular expression (the syntax of the crate `regex-lite`: no look-around, no back-references).
    ///
    /// # Errors
    /// [`BadPattern`]
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        if text.is_empty() {
            return Err(BadPattern::Empty);
        }
        if text.len() > MAX_PATTERN_BYTES {
            return Err(BadPattern::TooLong);
        }
        let compiled = RegexBuilder::new(text).size_limit(MAX_COMPILED_BYTES).build();
        compiled.map(Self).map_err(|error| BadPattern::Invalid(error.to_string()))
    }
}

impl AnswerPatterns {
    /// Returns whether there are none, so that the body of an answer means nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.success.is_none() && self.failure.is_none()
    }

    /// Returns whether an answer with a 2xx status that begins with `start` is a success.
    #[must_use]
    pub fn accept(&self, start: &[u8]) -> bool {
        if self.is_empty() {
            return true;
        }
        let text = String::from_utf8_lossy(start);
        let matches = |pattern: &AnswerPattern| pattern.0.is_match(&text);
        self.success.as_ref().is_none_or(matches) && !self.failure.as_ref().is_some_and(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(success: &str, failure: &str) -> AnswerPatterns {
        let pattern = |text: &str| (!text.is_empty()).then(|| AnswerPattern::parse(text).unwrap());
        AnswerPatterns { success: pattern(success), failure: pattern(failure) }
    }

    #[test]
    fn without_patterns_every_answer_is_a_success() {
        assert!(AnswerPatterns::default().accept(b"") && AnswerPatterns::default().accept(b"failed with 429"));
    }

    #[test]
    fn an_answer_has_to_match_the_success_and_must_not_match_the_failure() {
        let both = patterns(r#""errcode"\s*:\s*0\b"#, "(?i)warning");
        assert!(both.accept(br#"{"errcode": 0, "errmsg": "ok"}"#));
        assert!(!both.accept(br#"{"errcode": 45009, "errmsg": "freq out of limit"}"#));
        assert!(!both.accept(br#"{"errcode": 0, "errmsg": "Warning"}"#));
        assert!(!both.accept(b""), "an empty answer does not say that it is a success");
        let failure = patterns("", r"failed with [45]\d\d");
        assert!(failure.accept(b"1") && failure.accept(b"\xff\xfe") && !failure.accept(b"\xffit failed with 429."));
    }

    #[test]
    fn what_is_no_pattern_or_explodes_is_refused() {
        assert_eq!(AnswerPattern::parse("").unwrap_err(), BadPattern::Empty);
        assert_eq!(AnswerPattern::parse(&"x".repeat(501)).unwrap_err(), BadPattern::TooLong);
        for bad in ["(", "a{2,1}", r"(?=x)", r"(a)\1", "((((a{100}){100}){100}){100})", r"\p{Greek}", "[z-a]"] {
            let error = AnswerPattern::parse(bad).unwrap_err();
            assert!(matches!(&error, BadPattern::Invalid(why) if !why.is_empty()), "{bad}: {error}");
        }
    }

    #[test]
    fn a_pattern_that_makes_other_engines_backtrack_is_answered() {
        let nested = patterns("", "(a+)+$|(a|aa)*b");
        assert!(nested.accept(&[b'a'; 2047].iter().chain(b"!").copied().collect::<Vec<_>>()));
    }
}
