//! What a command that asks a running daemon needs of its configuration: `[server]`, and the store's path, beside which the
//! daemon keeps its token. Nothing else is judged, and no file that the configuration names is read.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use toml::de::DeTable;

use super::diagnostics::Diagnostics;
use super::environment::Environment;
use super::files::ReferencedFiles;
use super::problem::Problems;
use super::section::Section;
use super::server;
use crate::serve::settings::{Listen, ServerSettings};
use crate::store::StoreSettings;

/// How a client reaches the daemon of a configuration.
#[derive(Debug)]
pub struct ClientSettings {
    pub listen: Listen,
    /// The certificate of a daemon that serves TLS.
    pub certificate: Option<PathBuf>,
    /// Whether the daemon requires a certificate of its clients.
    pub asks_for_certificate: bool,
    /// Where its token is, or why the configuration does not say.
    pub token: Result<TokenPlace, Problems>,
}

/// Where the token of the daemon's API is.
#[derive(Debug)]
pub enum TokenPlace {
    /// In the configuration itself.
    Value(SecretString),
    /// In the file that `server.token_file` names.
    File(PathBuf),
    /// In a file beside this store, which the daemon's first start creates.
    BesideStore(PathBuf),
}

/// Reads from the text of a configuration what a client needs. Other sections and unknown keys are passed over, and so are
/// errors of syntax: the daemon may run well with what the file said before.
///
/// # Errors
/// The [`Problems`] of the keys that are needed.
pub(super) fn parse(
    text: &str,
    file: &str,
    folder: &Path,
    environment: &Environment,
) -> Result<ClientSettings, Problems> {
    let (table, _) = DeTable::parse_recoverable(text);
    let files = ReferencedFiles { environment, folder };
    let diagnostics = Diagnostics::new(file, text);
    let (listen, tls) = Section::read_root(table.get_ref(), &diagnostics, |root| {
        root.ignore_unknown();
        root.table("server", |section| {
            section.ignore_unknown();
            let tls = ["tls_certificate", "tls_client_authority"].map(|key| files.path(section, key));
            let listen = server::listen(section, &files).map(|found| found.value);
            (listen, tls.map(|found| found.map(|found| found.value)))
        })
    });
    diagnostics.finish()?;
    let [certificate, client_authority] = tls;
    let listen = listen.unwrap_or(ServerSettings::default().listen);
    let token = token(&table, text, file, &files);
    Ok(ClientSettings { listen, certificate, asks_for_certificate: client_authority.is_some(), token })
}

/// Returns where the token is. Its problems are apart, because a token of the user's own makes up for them.
fn token(
    table: &toml::Spanned<DeTable<'_>>,
    text: &str,
    file: &str,
    files: &ReferencedFiles<'_>,
) -> Result<TokenPlace, Problems> {
    let diagnostics = Diagnostics::new(file, text);
    let place = Section::read_root(table.get_ref(), &diagnostics, |root| {
        root.ignore_unknown();
        let given = root.table("server", |section| {
            section.ignore_unknown();
            let value = section.text("token").map(|found| TokenPlace::Value(SecretString::from(found.value)));
            value.or_else(|| files.path(section, "token_file").map(|found| TokenPlace::File(found.value)))
        });
        given.unwrap_or_else(|| {
            let path = root.table("store", |section| {
                section.ignore_unknown();
                files.path(section, "path").map(|found| found.value)
            });
            TokenPlace::BesideStore(path.unwrap_or_else(|| StoreSettings::default().path))
        })
    });
    diagnostics.finish()?;
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ClientSettings, Problems> {
        parse(text, "m.toml", Path::new("/etc/meetwatch"), &Environment::default())
    }

    #[test]
    fn only_what_a_client_needs_is_judged() {
        let text = "[[identity]]\nname = 7\nservice_account_key = \"/nowhere\"\n[webhok]\n[server]\nlistn = 1\n\
                    listen = \"127.0.0.1:7\"\ntls_key = \"/nowhere\"\n[[webhook]]\nurl = \"ftp://x\"\nbroken = = 1\n\
                    [store]\nretention = \"for ever\"\npath = \"a.db\"\n";
        let settings = read(text).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:7");
        assert!(settings.certificate.is_none());
        let beside = Path::new("/etc/meetwatch/a.db");
        assert!(matches!(settings.token, Ok(TokenPlace::BesideStore(path)) if path == beside));
    }

    #[test]
    fn the_token_is_where_the_server_section_says() {
        let token = |line: &str| read(&format!("[server]\n{line}\n")).unwrap().token;
        assert!(matches!(token("token = \"a-token-of-some-length\""), Ok(TokenPlace::Value(_))));
        let file = token("token_file = \"t\"");
        assert!(matches!(file, Ok(TokenPlace::File(path)) if path == Path::new("/etc/meetwatch/t")));
        assert!(token("token_file = \"credential:t\"").unwrap_err().to_string().contains("systemd credential"));
        assert!(matches!(token(""), Ok(TokenPlace::BesideStore(path)) if path == StoreSettings::default().path));
    }

    #[test]
    fn an_address_that_cannot_be_used_is_a_problem() {
        let problems = read("[server]\nlisten = \"everywhere\"\n").unwrap_err().to_string();
        assert!(problems.contains("m.toml:2") && problems.contains("server.listen"), "{problems}");
    }
}
