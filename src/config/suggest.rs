//! Finding the word that was meant.

use crate::model::text;

/// The longest piece of an operator's key that is repeated in a problem, in characters.
const SHOWN_CHARS: usize = 40;

/// The known word that `given` most resembles, if it resembles any.
pub(super) fn nearest<'w>(given: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    // Edit distance takes time in proportion to both lengths: what is this long resembles no key.
    if given.len() > 4 * SHOWN_CHARS {
        return None;
    }
    let given = given.to_ascii_lowercase();
    let close = |word: &&str| strsim::jaro_winkler(&given, word) >= 0.8;
    let distance = |word: &&str| strsim::damerau_levenshtein(&given, word);
    known.into_iter().filter(close).min_by_key(distance)
}

/// `did you mean …?`, or what there is to choose from.
pub(super) fn hint<S: AsRef<str>>(given: &str, known: &[S]) -> String {
    let suggest: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    match nearest(given, suggest.iter().copied()) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("allowed are {}", list(&suggest)),
    }
}

/// Which suggest there are to choose from, and the one that was meant.
pub(super) fn one_of<S: AsRef<str>>(given: &str, known: &[S]) -> String {
    format!("must be one of {}{}", list(known), meant(given, known))
}

/// `; did you mean …?`, if any known word resembles the one that was given.
pub(super) fn meant<S: AsRef<str>>(given: &str, known: &[S]) -> String {
    let meant = nearest(given, known.iter().map(AsRef::as_ref));
    meant.map(|word| format!("; did you mean `{word}`?")).unwrap_or_default()
}

/// `` `a`, `b` and `c` ``.
pub(super) fn list<S: AsRef<str>>(suggest: &[S]) -> String {
    let quoted: Vec<String> = suggest.iter().map(|word| format!("`{}`", word.as_ref())).collect();
    match quoted.as_slice() {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [front @ .., last] => format!("{} and {last}", front.join(", ")),
    }
}

/// A key that somebody wrote, cut and made harmless for a terminal.
pub(super) fn shown(key: &str) -> String {
    let cut = key.char_indices().nth(SHOWN_CHARS).map_or(key.len(), |(at, _)| at);
    let dots = if cut < key.len() { "…" } else { "" };
    text::for_terminal(&key[..cut]) + dots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_the_one_that_was_mistyped() {
        let known = ["secret", "secret_file", "secrets", "timeout"];
        assert_eq!(nearest("secert_file", known), Some("secret_file"));
        assert_eq!(nearest("Timeout", known), Some("timeout"));
        assert_eq!(nearest("colour", known), None);
    }

    #[test]
    fn a_key_that_is_an_attack_is_shown_harmless_and_short() {
        assert_eq!(shown("a\u{1b}b"), "a\\u{1b}b");
        assert!(shown(&"x".repeat(10_000)).len() < 50);
    }
}
