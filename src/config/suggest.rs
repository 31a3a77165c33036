//! Suggestions for mistyped words, and lists of allowed words for messages.

use crate::model::{nearest, text};

/// The characters of an unknown key that a problem repeats at most.
const SHOWN_CHARS: usize = 40;

/// Returns `did you mean …?`, or the list of allowed words.
pub(super) fn hint<S: AsRef<str>>(given: &str, known: &[S]) -> String {
    let words: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    match nearest(given, words.iter().copied()) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("allowed: {}", list(&words)),
    }
}

/// Returns `must be one of …`, with a suggestion.
pub(super) fn one_of<S: AsRef<str>>(given: &str, known: &[S]) -> String {
    format!("must be one of {}{}", list(known), meant(given, known))
}

/// Returns `; did you mean …?` if a known word is similar to `given`, and else an empty text.
pub(super) fn meant<S: AsRef<str>>(given: &str, known: &[S]) -> String {
    let meant = nearest(given, known.iter().map(AsRef::as_ref));
    meant.map(|word| format!("; did you mean `{word}`?")).unwrap_or_default()
}

/// Returns `` `a`, `b` and `c` ``.
pub(super) fn list<S: AsRef<str>>(words: &[S]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{}`", word.as_ref())).collect();
    match quoted.as_slice() {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [front @ .., last] => format!("{} and {last}", front.join(", ")),
    }
}

/// Returns an unknown key, shortened and escaped for a terminal.
pub(super) fn shown(key: &str) -> String {
    let cut = key.char_indices().nth(SHOWN_CHARS).map_or(key.len(), |(at, _)| at);
    let dots = if cut < key.len() { "…" } else { "" };
    text::for_terminal(&key[..cut]) + dots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_key_is_escaped_and_shortened() {
        assert_eq!(shown("a\u{1b}b"), "a\\u{1b}b");
        assert!(shown(&"x".repeat(10_000)).len() < 50);
    }
}
