//! The subjects of a service account: their addresses, and the names of their identities.
//!
//! An address is personal data, and names appear in logs and metric labels. So the name of a subject's identity is made of
//! the section's name and a hash of the address. It depends on nothing else, so it stays the same if other subjects are
//! added, removed or reordered.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::configuration::FileLine;
use super::files::ReferencedFiles;
use super::section::{Located, Section};
use crate::model::text::for_terminal;

/// The most subjects of a section: more than one project's quota can serve.
const MAX_SUBJECTS: usize = 10_000;

/// The characters of the hash in a name.
const HASH_CHARS: usize = 12;

/// The maximum length of the name of an identity with subjects, in characters.
pub(super) const MAX_PREFIX_CHARS: usize = 64 - 1 - HASH_CHARS;

/// What is expected of a subject.
pub(super) const EXPECTED: &str = "the e-mail address of a user";

/// One subject and where it is given.
#[derive(Debug)]
pub(super) struct SubjectAddress {
    pub(super) address: String,
    pub(super) place: FileLine,
}

/// Reads `subjects` or `subjects_file`, each address once. `None` if neither key is set.
pub(super) fn read(section: &Section<'_>, files: &ReferencedFiles<'_>) -> Option<Vec<SubjectAddress>> {
    let list = section.texts("subjects");
    let file = files.path(section, "subjects_file");
    let given = match (list, file) {
        (None, None) => return None,
        (Some(list), _) => {
            let one = |text: Located<'_, &str>| {
                let place = text.place();
                Some(SubjectAddress { address: text.must_be(EXPECTED, parse)?.value, place })
            };
            list.into_iter().filter_map(one).collect()
        }
        (None, Some(path)) => from_file(&path, files)?,
    };
    let mut seen = BTreeSet::new();
    let subjects: Vec<SubjectAddress> =
        given.into_iter().filter(|subject| seen.insert(subject.address.clone())).collect();
    let key = if section.has("subjects") { "subjects" } else { "subjects_file" };
    match subjects.len() {
        0 => section.problem(key, "contains no address; give at least one"),
        1..=MAX_SUBJECTS => {}
        _ => section
            .problem(key, format!("contains more than {MAX_SUBJECTS} addresses; split them over several daemons")),
    }
    Some(subjects)
}

/// Reads a file with an address on each line.
fn from_file(path: &Located<'_, PathBuf>, files: &ReferencedFiles<'_>) -> Option<Vec<SubjectAddress>> {
    let contents = files.contents(path)?;
    // Editors on Windows put a byte order mark at the start.
    let text = contents.value.trim_start_matches('\u{feff}');
    let file: Arc<str> = for_terminal(&path.value.display().to_string()).into();
    let mut subjects = Vec::new();
    for (line, text) in (1..).zip(text.lines().map(str::trim)) {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        match parse(text) {
            Some(address) => subjects.push(SubjectAddress { address, place: FileLine { file: file.clone(), line } }),
            None => path.problem(format!("line {line} of {file} must be {EXPECTED}, alone on its line")),
        }
    }
    Some(subjects)
}

/// Parses an address and converts it to lower case, because Google ignores case in the addresses of users.
pub(super) fn parse(text: &str) -> Option<String> {
    let (user, domain) = text.split_once('@')?;
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"@,;:<>()[]\"\\".contains(c);
    let label = |label: &str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-');
    let valid = !user.is_empty() && user.chars().all(plain) && domain.split('.').all(label);
    (text.len() <= 254 && valid).then(|| text.to_lowercase())
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
        for bad in [
            "",
            "alice",
            "@example.com",
            "alice@",
            "a@b@c",
            "a b@example.com",
            "a@example.com\n",
            "a@example.com,",
            "<a@example.com>",
            "\"a@example.com\"",
            "mailto:a@example.com",
            "a@example..com",
            "a@example.com.",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
