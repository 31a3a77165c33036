//! Suggestions for mistyped words, and lists of allowed words for messages.

use crate::model::text;

/// The characters of an unknown key that a problem repeats at most.
const SHOWN_CHARS: usize = 40;

/// Returns the known word that is most similar to `given`, if any is similar.
pub(super) fn nearest<'w>(given: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    // The time for an edit distance grows with both lengths, and no key is this long.
    if given.len() > 4 * SHOWN_CHARS {
        return None;
    }
    let given = given.to_ascii_lowercase();
    let close = |word: &&str| strsim::jaro_winkler(&given, word) >= 0.8;
    let distance = |word: &&str| strsim::damerau_levenshtein(&given, word);
    known.into_iter().filter(close).min_by_key(distance)
}

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
    fn the_nearest_word_to_a_mistyped_one_is_suggested() {
        let known = ["secret", "secret_file", "secrets", "timeout"];
        assert_eq!(nearest("secert_file", known), Some("secret_file"));
        assert_eq!(nearest("Timeout", known), Some("timeout"));
        assert_eq!(nearest("colour", known), None);
    }

    #[test]
    fn a_hostile_key_is_escaped_and_shortened() {
        assert_eq!(shown("a\u{1b}b"), "a\\u{1b}b");
        assert!(shown(&"x".repeat(10_000)).len() < 50);
    }
}
