//! Repairs text that is no JSON for the text's own sake, so that what somebody typed as a name spoils no answer: invalid
//! UTF-8, half of a surrogate pair, and control characters become U+FFFD. Used only after an answer could not be parsed.

use std::borrow::Cow;

const REPLACEMENT: &str = "\\ufffd";

/// Returns the body as text whose strings JSON allows. It takes one pass, and at most six bytes for each of the body's.
pub(super) fn repaired(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text: Cow<'_, str> = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut rest = &*text;
    let mut in_string = false;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '\\' || (in_string && c < ' ')) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = match rest.as_bytes().first() {
            Some(b'"') => {
                in_string = !in_string;
                out.push('"');
                1
            }
            Some(b'\\') => escape(rest, &mut out),
            _ => {
                out.push_str(REPLACEMENT);
                1
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// Copies the escape sequence that `rest` begins with, and returns its length.
fn escape(rest: &str, out: &mut String) -> usize {
    let length = match code_unit(rest) {
        Some(0xd800..=0xdbff) if rest.get(6..).and_then(code_unit).is_some_and(is_low) => 12,
        Some(0xd800..=0xdfff) => {
            out.push_str(REPLACEMENT);
            return 6;
        }
        Some(_) => 6,
        None => 1 + rest.chars().nth(1).map_or(0, char::len_utf8),
    };
    out.push_str(rest.get(..length).unwrap_or(rest));
    length
}

fn is_low(unit: u16) -> bool {
    (0xdc00..=0xdfff).contains(&unit)
}

/// Returns the code unit of a `\uXXXX` at the beginning of a text.
fn code_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> String {
        serde_json::from_str(&repaired(bytes)).unwrap()
    }

    #[test]
    fn half_a_surrogate_pair_and_invalid_utf_8_become_the_replacement_character() {
        assert_eq!(of(br#""Zo\ud83d""#), "Zo\u{fffd}");
        assert_eq!(of(br#""\ude00Zo""#), "\u{fffd}Zo");
        assert_eq!(of(br#""\ud83d\ud83d\ude00""#), "\u{fffd}\u{1f600}");
        assert_eq!(of(br#""\ud83d\u0041""#), "\u{fffd}A");
        assert_eq!(of(b"\"Zo\xeb\""), "Zo\u{fffd}");
        assert_eq!(of(b"\"a\x01b\tc\""), "a\u{fffd}b\u{fffd}c");
        assert_eq!(of(b"\xef\xbb\xbf\"Zo\""), "Zo");
    }

    #[test]
    fn what_is_right_stays_as_it_is() {
        for text in
            [r#""\ud83d\ude00""#, r#""a\\ud83d""#, r#""\"\\\/\b\u00e9\uFFFF""#, "\"é日😀\"", "{\n\t\"a\": [1]\n}"]
        {
            assert_eq!(repaired(text.as_bytes()), text);
        }
        for broken in ["\"\\", "\"\\u", "\"\\ud8", "\"\\ud83d\\u", "\\é"] {
            assert!(serde_json::from_str::<String>(&repaired(broken.as_bytes())).is_err(), "{broken}");
        }
    }
}
