//! The subjects of a service account: their addresses, and the names of their identities.
//!
//! An address is personal data, and names appear in logs and metric labels. So the name of a subject's identity is made of
//! the section's name and a hash of the address. It depends on nothing else, so it stays the same if other subjects are
//! added, removed or reordered.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::files::ReferencedFiles;
use super::section::Section;

/// The most subjects of a section: more than one project's quota can serve.
const MAX_SUBJECTS: usize = 10_000;

/// The characters of the hash in a name.
const HASH_CHARS: usize = 12;

/// The maximum length of the name of an identity with subjects, in characters.
pub(super) const MAX_PREFIX_CHARS: usize = 64 - 1 - HASH_CHARS;

/// What is expected of a subject.
pub(super) const EXPECTED: &str = "the e-mail address of a user";

/// Reads `subjects` or `subjects_file`, each address once. `None` if neither key is set.
pub(super) fn read(section: &Section<'_>, files: &ReferencedFiles<'_>) -> Option<Vec<String>> {
    let list = section.texts("subjects");
    let file = files.path(section, "subjects_file");
    let (mut seen, mut subjects) = (BTreeSet::new(), Vec::new());
    let mut add = |subject: String| {
        if seen.insert(subject.clone()) {
            subjects.push(subject);
        }
    };
    match (list, file) {
        (None, None) => return None,
        (Some(list), _) => {
            list.into_iter().filter_map(|text| text.must_be(EXPECTED, parse)).for_each(|found| add(found.value));
        }
        (None, Some(path)) => {
            let contents = files.contents(&path)?;
            for (line, text) in (1..).zip(contents.value.lines().map(str::trim)) {
                if text.is_empty() || text.starts_with('#') {
                    continue;
                }
                match parse(text) {
                    Some(subject) => add(subject),
                    None => path.problem(format!("line {line} of the file must be {EXPECTED}")),
                }
            }
        }
    }
    let key = if section.has("subjects") { "subjects" } else { "subjects_file" };
    match subjects.len() {
        0 => section.problem(key, "contains no address; give at least one"),
        1..=MAX_SUBJECTS => {}
        _ => section
            .problem(key, format!("contains more than {MAX_SUBJECTS} addresses; split them over several daemons")),
    }
    Some(subjects)
}

/// Parses an address and converts it to lower case, because Google ignores case in the addresses of users.
pub(super) fn parse(text: &str) -> Option<String> {
    let (user, domain) = text.split_once('@')?;
    let plain = |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control() || c == '@');
    (text.len() <= 254 && plain(user) && plain(domain)).then(|| text.to_lowercase())
}

/// The name of a subject's identity: the section's name, a dot, and the first 12 hexadecimal digits of the SHA-256 of its address
/// in lower case.
pub(super) fn opaque_name(identity: &str, subject: &str) -> String {
    let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(subject.as_bytes()));
    format!("{identity}.{}", &hash[..HASH_CHARS])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_subject_is_stable_across_versions_and_contains_no_address() {
        // printf %s alice@example.com | sha256sum | cut -c1-12
        assert_eq!(opaque_name("staff", &parse("Alice@Example.com").unwrap()), "staff.ff8d9819fc0e");
    }

    #[test]
    fn only_an_address_is_a_subject() {
        for bad in ["", "alice", "@example.com", "alice@", "a@b@c", "a b@example.com", "a@example.com\n"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
