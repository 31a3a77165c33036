//! `[server]` and `[metrics]`.

use std::net::{Ipv4Addr, SocketAddr};

use secrecy::SecretString;

use super::files::Files;
use super::secret;
use super::section::Section;
use super::words;
use crate::serve::ServerSettings;
use crate::serve::settings::Expose;

/// The shortest token that is taken, in characters.
const MIN_TOKEN_CHARS: usize = 16;

pub(super) fn read(section: &Section<'_>, files: &Files<'_>, max_conferences: usize) -> ServerSettings {
    let default = ServerSettings::default();
    let expected = "an address and a port, such as \"127.0.0.1:9840\" or \"[::1]:9840\"";
    let listen = section.parsed("listen", expected, listen_address);
    let expose = expose(section);
    let has_token = section.has("token") || section.has("token_file");
    let token = token(section, files);
    if let Some(listen) = &listen {
        let all_open = expose.metrics && expose.health;
        if !listen.value.ip().is_loopback() && !has_token && !all_open {
            let path = section.path_of("token_file");
            listen.dangling(format!(
                "can be reached from other machines; set `{path}`, or `expose = [\"metrics\", \"health\"]`, or listen on \
                 127.0.0.1"
            ));
        }
    }
    ServerSettings {
        listen: listen.map_or(default.listen, |found| found.value),
        expose,
        token,
        max_conferences,
        hosts: section.each("hosts", "names of this machine, without a port", host_name),
    }
}

/// `[metrics]`: how many conferences have series of their own.
pub(super) fn max_conferences(section: &Section<'_>) -> usize {
    let number = section.integer("max_conferences", 1000, 0..=100_000);
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn listen_address(text: &str) -> Option<SocketAddr> {
    if let Some(port) = text.strip_prefix("localhost:") {
        return Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().ok()?)));
    }
    text.parse().ok()
}

fn expose(section: &Section<'_>) -> Expose {
    const KNOWN: [&str; 2] = ["metrics", "health"];
    let mut expose = Expose::default();
    for text in section.texts("expose").unwrap_or_default() {
        match text.value {
            "metrics" => expose.metrics = true,
            "health" => expose.health = true,
            other => text.problem(words::one_of(other, &KNOWN)),
        }
    }
    expose
}

fn token(section: &Section<'_>, files: &Files<'_>) -> Option<SecretString> {
    let found = secret::one(section, files, ["token", "token_file"], "the token")?;
    section.mark_secret("token");
    let good = |text: &str| text.len() >= MIN_TOKEN_CHARS && text.bytes().all(|b| b.is_ascii_graphic());
    secret::checked(&found, |text| {
        let wrong = format!("must be at least {MIN_TOKEN_CHARS} letters, digits and signs, without spaces");
        if good(text) { Ok(SecretString::from(text)) } else { Err(wrong) }
    })
}

fn host_name(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    (!text.is_empty() && text.len() <= 253 && text.bytes().all(plain)).then(|| text.to_ascii_lowercase())
}
