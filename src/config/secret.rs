//! Secrets: in the configuration file, in a file of their own, or passed by systemd.

use secrecy::{ExposeSecret as _, SecretString};

use super::files::{ReferencedFiles, warn_if_world_readable};
use super::section::{Located, Section};
use super::suggest;

/// Reads a secret that is either the value of `key` or the contents of the file that `key_file` names. `what` names the
/// secret in messages.
pub(super) fn one<'a>(
    section: &Section<'a>,
    files: &ReferencedFiles<'_>,
    [key, key_file]: [&'static str; 2],
    what: &str,
) -> Option<Located<'a, SecretString>> {
    // Both keys are read first, so that both are known keys.
    let (value, file) = (section.text(key), section.text(key_file));
    if let (Some(_), Some(file)) = (&value, &file) {
        file.problem(format!("cannot be combined with `{key}`; keep one of them"));
    }
    match (value, file) {
        (Some(value), _) => from_value(&value, what),
        (None, Some(file)) => from_file(&file, files, what),
        (None, None) => None,
    }
}

/// Reads the secrets that one of four keys gives: `key` and `keys` contain them, `key_file` and `keys_files` name their files.
pub(super) fn several<'a>(
    section: &Section<'a>,
    files: &ReferencedFiles<'_>,
    [key, key_file, keys, keys_files]: [&'static str; 4],
    what: &str,
) -> Vec<Located<'a, SecretString>> {
    let (value, file) = (section.text(key), section.text(key_file));
    let (values, value_files) = (section.texts(keys), section.texts(keys_files));
    section.mark_secret(key);
    section.mark_secret(keys);
    let given = [value.is_some(), file.is_some(), values.is_some(), value_files.is_some()];
    if given.into_iter().filter(|given| *given).count() > 1 {
        let all = suggest::list(&[key, key_file, keys, keys_files]);
        section.problem(keys, format!("only one of {all} may be set; keep one of them"));
    }
    for (key, list) in [(keys, &values), (keys_files, &value_files)] {
        if list.as_ref().is_some_and(Vec::is_empty) {
            section.problem(key, format!("is an empty list; give at least one: {what}"));
        }
    }
    let in_this_file = value.into_iter().chain(values.unwrap_or_default()).filter_map(|text| from_value(&text, what));
    let in_own_files = file.into_iter().chain(value_files.unwrap_or_default());
    in_this_file.chain(in_own_files.filter_map(|text| from_file(&text, files, what))).collect()
}

fn from_value<'a>(text: &Located<'a, &'a str>, what: &str) -> Option<Located<'a, SecretString>> {
    let secret = not_empty(text, text.value, what)?;
    Some(text.with(secret))
}

fn from_file<'a>(
    text: &Located<'a, &'a str>,
    files: &ReferencedFiles<'_>,
    what: &str,
) -> Option<Located<'a, SecretString>> {
    let path = files.resolve(text)?;
    let contents = files.contents(&path)?;
    warn_if_world_readable(&path, &path.value);
    // Editors and `echo` add a newline that is not part of the secret.
    let secret = not_empty(&contents, contents.value.trim_end_matches(['\r', '\n']), what)?;
    Some(contents.with(secret))
}

fn not_empty<T>(found: &Located<'_, T>, secret: &str, what: &str) -> Option<SecretString> {
    if secret.is_empty() {
        found.problem(format!("{what} is empty"));
        return None;
    }
    Some(SecretString::from(secret))
}

/// Parses a secret. The parser's error becomes a problem, so its text must not repeat the secret.
pub(super) fn checked<T, E: std::fmt::Display>(
    secret: &Located<'_, SecretString>,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    parse(secret.value.expose_secret()).inspect_err(|error| secret.problem(error.to_string())).ok()
}
