//! The access to the receiver of a `[[webhook]]`: authorization, additional headers, certificates.

use std::path::PathBuf;

use secrecy::ExposeSecret as _;

use super::files::{ReferencedFiles, warn_if_world_readable};
use super::secret;
use super::section::{Located, Section};
use crate::delivery::settings::{AnswerPattern, AnswerPatterns, BadTls, ExtraHeaders, TlsSettings};

/// Reads the authorization and the additional headers.
pub(super) fn headers(section: &Section<'_>, files: &ReferencedFiles<'_>) -> ExtraHeaders {
    let mut headers = ExtraHeaders::default();
    let bearer = secret::one(section, files, ["bearer_token", "bearer_token_file"], "the token");
    let user = section.text("username");
    let password = secret::one(section, files, ["password", "password_file"], "the password");
    for key in ["bearer_token", "password", "headers"] {
        section.mark_secret(key);
    }
    if let Some(token) = bearer {
        secret::checked(&token, |text| headers.add_bearer(text));
    }
    match (user, password) {
        (Some(user), Some(password)) => {
            if let Err(error) = headers.add_basic(user.value, password.value.expose_secret()) {
                user.problem(error.to_string());
            }
        }
        (Some(user), None) if !section.has("password") && !section.has("password_file") => {
            user.problem("needs a `password` or `password_file`");
        }
        (None, Some(password)) => password.problem("needs a `username`"),
        _ => {}
    }
    for line in section.texts("headers").unwrap_or_default() {
        if let Err(error) = headers.add_line(line.value) {
            line.problem(error.to_string());
        }
    }
    for text in section.texts("headers_files").unwrap_or_default() {
        let Some(path) = files.resolve(&text) else { continue };
        let Some(contents) = files.contents(&path) else { continue };
        warn_if_world_readable(&path, &path.value);
        for (number, line) in (1..).zip(contents.value.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            if let Err(error) = headers.add_line(line) {
                contents.problem(format!("line {number} of the file {error}"));
            }
        }
    }
    headers
}

/// Reads the patterns on the start of an answer.
pub(super) fn answers(section: &Section<'_>) -> AnswerPatterns {
    let [success, failure] = ["success_body", "failure_body"].map(|key| {
        let text = section.text(key)?;
        AnswerPattern::parse(text.value).map_err(|error| text.problem(error.to_string())).ok()
    });
    AnswerPatterns { success, failure }
}

/// Reads the client certificate and the certificate authority to trust.
pub(super) fn tls(section: &Section<'_>, files: &ReferencedFiles<'_>) -> TlsSettings {
    let [chain, key, authority] =
        ["client_certificate", "client_key", "certificate_authority"].map(|name| files.path(section, name));
    let mut tls = TlsSettings::default();
    if let Some(key) = &key {
        warn_if_world_readable(key, &key.value);
    }
    match (chain, key) {
        (Some(chain), Some(key)) => {
            if let (Some(chain), Some(key)) = (files.contents(&chain), files.contents(&key)) {
                tls = with_client(tls, &chain, &key);
            }
        }
        (Some(chain), None) => chain.problem("needs a `client_key`"),
        (None, Some(key)) => key.problem("needs a `client_certificate`"),
        (None, None) => {}
    }
    match authority.and_then(|path: Located<'_, PathBuf>| files.contents(&path)) {
        None => tls,
        Some(bundle) => match tls.clone().with_authorities(&bundle.value) {
            Ok(tls) => tls,
            Err(error) => {
                bundle.problem(error.to_string());
                tls
            }
        },
    }
}

fn with_client(tls: TlsSettings, chain: &Located<'_, String>, key: &Located<'_, String>) -> TlsSettings {
    match tls.clone().with_client_certificate(&chain.value, &key.value) {
        Ok(tls) => tls,
        Err(error) => {
            let at = if error == BadTls::NoKey { key } else { chain };
            at.problem(error.to_string());
            tls
        }
    }
}
