//! The word that was probably meant.

/// The longest text that is compared, in bytes: the time for an edit distance grows with both lengths.
const MAX_BYTES: usize = 160;

/// Returns the known word that is most similar to `given`, if any is similar.
#[must_use]
pub fn nearest<'w>(given: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    if given.len() > MAX_BYTES {
        return None;
    }
    let given = given.to_ascii_lowercase();
    let close = |word: &&str| strsim::jaro_winkler(&given, &word.to_ascii_lowercase()) >= 0.8;
    let distance = |word: &&str| strsim::damerau_levenshtein(&given, &word.to_ascii_lowercase());
    known.into_iter().filter(close).min_by_key(distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_to_a_mistyped_one_is_suggested() {
        let known = ["secret", "secret_file", "secrets", "timeout", "Board"];
        assert_eq!(nearest("secert_file", known), Some("secret_file"));
        assert_eq!(nearest("Timeout", known), Some("timeout"));
        assert_eq!(nearest("bord", known), Some("Board"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest(&"secret".repeat(100), known), None);
    }
}
