//! `[server]` and `[metrics]`.

use std::net::{Ipv4Addr, SocketAddr};

use secrecy::SecretString;

use super::files::{ReferencedFiles, warn_if_world_readable};
use super::secret;
use super::section::{Located, Section};
use super::suggest;
use crate::serve::ServerSettings;
use crate::serve::settings::{BadServerTls, Expose, Keys, Listen, PasswordHash, Tls, TlsFiles};

/// The minimum length of a token, in characters.
const MIN_TOKEN_CHARS: usize = 16;

pub(super) fn read(section: &Section<'_>, files: &ReferencedFiles<'_>, max_conferences: usize) -> ServerSettings {
    let default = ServerSettings::default();
    let listen = listen(section, files);
    let expose = expose(section);
    let has_token = section.has("token") || section.has("token_file");
    let token = token(section, files);
    let (api, metrics) = (
        section.table("api", |section| keys(section, files)),
        section.table("metrics", |section| keys(section, files)),
    );
    let tls = tls(section, files);
    if let Some(listen) = &listen {
        let all_open = expose.metrics && expose.health;
        if !listen.value.is_local() && !has_token && !all_open && api.is_empty() {
            let path = section.path_of("token_file");
            listen.dangling(format!(
                "can be reached from other machines; set `{path}`, or `expose = [\"metrics\", \"health\"]`, or listen on \
                 127.0.0.1"
            ));
        }
    }
    if let Some(listen) = &listen
        && !listen.value.is_local()
        && tls.is_none()
        && (has_token || !api.is_empty() || !metrics.is_empty())
    {
        let path = section.path_of("tls_certificate");
        listen.warning(format!(
            "tokens and passwords go over the network unencrypted; set `{path}`, or put a proxy with TLS in front"
        ));
    }
    ServerSettings {
        listen: listen.map_or(default.listen, |found| found.value),
        tls,
        expose,
        token,
        api,
        metrics,
        inherited: None,
        max_conferences,
        hosts: section.each("hosts", "host names of this machine, without a port", host_name),
    }
}

/// `[metrics]`: the most conferences that have metric series of their own.
pub(super) fn max_conferences(section: &Section<'_>) -> usize {
    let number = section.integer("max_conferences", 1000, 0..=100_000);
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The default of `socket_mode`: read and write for the program's user and group.
const SOCKET_MODE: u32 = 0o660;

pub(super) fn listen<'a>(section: &Section<'a>, files: &ReferencedFiles<'_>) -> Option<Located<'a, Listen>> {
    let expected = "an address and a port, such as \"127.0.0.1:9840\" or \"[::1]:9840\", or a socket, such as \"unix:/run/meetwatch/http.sock\"";
    let mode = section.parsed("socket_mode", "permissions in octal, such as \"0660\"", |text| {
        u32::from_str_radix(text, 8).ok().filter(|mode| text.len() <= 4 && *mode <= 0o777)
    });
    let found =
        section.parsed("listen", expected, |text| listen_address(text, files, mode.as_ref().map(|mode| mode.value)));
    if let Some(mode) = &mode
        && !found.as_ref().is_some_and(|found| matches!(found.value, Listen::Unix { .. }))
    {
        mode.problem("is used with a socket (`listen = \"unix:…\"`) only");
    }
    found
}

/// The maximum length of a socket's path, in bytes.
const MAX_SOCKET_PATH: usize = 100;

fn listen_address(text: &str, files: &ReferencedFiles<'_>, mode: Option<u32>) -> Option<Listen> {
    if let Some(path) = text.strip_prefix("unix:") {
        let named = !path.is_empty();
        let path = files.folder.join(path);
        let fits = named && path.as_os_str().len() <= MAX_SOCKET_PATH && path.file_name().is_some();
        return fits.then(|| Listen::Unix { path, mode: mode.unwrap_or(SOCKET_MODE) });
    }
    if let Some(port) = text.strip_prefix("localhost:") {
        return Some(Listen::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().ok()?))));
    }
    text.parse().ok().map(Listen::Tcp)
}

/// Reads `[server.api]` or `[server.metrics]`: the token and the passwords that give access.
fn keys(section: &Section<'_>, files: &ReferencedFiles<'_>) -> Keys {
    let expected = "the bcrypt hash of a password with a cost of 4 to 14, as `htpasswd -nBC 10 NAME` prints it";
    let users = section.entries("basic_auth_users", expected, |name, hash| {
        let is_valid = !name.is_empty() && !name.contains(':') && !name.chars().any(char::is_control);
        PasswordHash::parse(hash).filter(|_| is_valid)
    });
    Keys { token: token(section, files), users }
}

fn tls(section: &Section<'_>, files: &ReferencedFiles<'_>) -> Option<TlsFiles> {
    let certificate = files.path(section, "tls_certificate");
    let key = files.path(section, "tls_key");
    let client_authority = files.path(section, "tls_client_authority");
    let (Some(certificate), Some(key)) = (&certificate, &key) else {
        if let Some(alone) = certificate.or(key).or(client_authority) {
            alone.problem("needs both `tls_certificate` and `tls_key`");
        }
        return None;
    };
    let authority = client_authority.as_ref().map(|authority| authority.value.clone());
    let tls = TlsFiles { certificate: certificate.value.clone(), key: key.value.clone(), client_authority: authority };
    warn_if_world_readable(key, &key.value);
    if let Err(error) = Tls::load(&tls) {
        let place = match (&error, &client_authority) {
            (BadServerTls::ClientAuthority, Some(authority)) => authority,
            (BadServerTls::Certificate, _) => certificate,
            _ => key,
        };
        place.problem(error.to_string());
    }
    Some(tls)
}

fn expose(section: &Section<'_>) -> Expose {
    const KNOWN: [&str; 2] = ["metrics", "health"];
    let mut expose = Expose::default();
    for text in section.texts("expose").unwrap_or_default() {
        match text.value {
            "metrics" => expose.metrics = true,
            "health" => expose.health = true,
            other => text.problem(suggest::one_of(other, &KNOWN)),
        }
    }
    expose
}

fn token(section: &Section<'_>, files: &ReferencedFiles<'_>) -> Option<SecretString> {
    let found = secret::one(section, files, ["token", "token_file"], "the token")?;
    section.mark_secret("token");
    let is_valid = |text: &str| text.len() >= MIN_TOKEN_CHARS && text.bytes().all(|b| b.is_ascii_graphic());
    secret::checked(&found, |text| {
        let message = format!("must be at least {MIN_TOKEN_CHARS} printable ASCII characters without spaces");
        if is_valid(text) { Ok(SecretString::from(text)) } else { Err(message) }
    })
}

fn host_name(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    (!text.is_empty() && text.len() <= 253 && text.bytes().all(plain)).then(|| text.to_ascii_lowercase())
}
