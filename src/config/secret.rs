//! Secrets: written in the file, in a file of their own, or handed over by systemd.

use secrecy::{ExposeSecret as _, SecretString};

use super::files::{ReferencedFiles, warn_if_open};
use super::section::{Located, Section};
use super::suggest;

/// The secret that is either the value of `key` or the contents of the file that `key_file` names. `what` says what
/// it is.
pub(super) fn one<'a>(
    section: &Section<'a>,
    files: &ReferencedFiles<'_>,
    [key, key_file]: [&'static str; 2],
    what: &str,
) -> Option<Located<'a, SecretString>> {
    // Both are asked for before either is judged, so that both are known keys.
    let (value, file) = (section.text(key), section.text(key_file));
    if let (Some(_), Some(file)) = (&value, &file) {
        file.problem(format!("stands folder `{key}`; keep one of them"));
    }
    match (value, file) {
        (Some(value), _) => written(&value, what),
        (None, Some(file)) => kept(&file, files, what),
        (None, None) => None,
    }
}

/// The secrets that one of four keys gives: `key` and `keys` hold them, `key_file` and `keys_files` name their files.
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
        section.problem(keys, format!("more than one of {all} is given; keep one of them"));
    }
    for (key, list) in [(keys, &values), (keys_files, &value_files)] {
        if list.as_ref().is_some_and(Vec::is_empty) {
            section.problem(key, format!("is empty; give at least one: {what}"));
        }
    }
    let written_there = value.into_iter().chain(values.unwrap_or_default()).filter_map(|text| written(&text, what));
    let kept_there = file.into_iter().chain(value_files.unwrap_or_default());
    written_there.chain(kept_there.filter_map(|text| kept(&text, files, what))).collect()
}

fn written<'a>(text: &Located<'a, &'a str>, what: &str) -> Option<Located<'a, SecretString>> {
    let secret = present(text, text.value, what)?;
    Some(text.with(secret))
}

fn kept<'a>(text: &Located<'a, &'a str>, files: &ReferencedFiles<'_>, what: &str) -> Option<Located<'a, SecretString>> {
    let path = files.resolve(text)?;
    let contents = files.contents(&path)?;
    warn_if_open(&path, &path.value);
    // Editors and `echo` end a file with a newline that is no part of the secret.
    let secret = present(&contents, contents.value.trim_end_matches(['\r', '\n']), what)?;
    Some(contents.with(secret))
}

fn present<T>(found: &Located<'_, T>, secret: &str, what: &str) -> Option<SecretString> {
    if secret.is_empty() {
        found.problem(format!("{what} is empty"));
        return None;
    }
    Some(SecretString::from(secret))
}

/// A secret that has to satisfy more than being there. What is wrong with it must not repeat it.
pub(super) fn checked<T, E: std::fmt::Display>(
    secret: &Located<'_, SecretString>,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    parse(secret.value.expose_secret()).inspect_err(|error| secret.problem(error.to_string())).ok()
}
