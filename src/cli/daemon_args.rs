//! The options that say which daemon a command asks, and with which token.
//!
//! The address is looked for in this order: `--url`, `--config`, `MEETWATCH_URL`, and the default configuration. A token comes
//! from `--token-file`, else from `MEETWATCH_TOKEN_FILE`, else from where the configuration says. A token of this machine's
//! configuration is never sent to an address that the configuration does not name.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use secrecy::SecretString;

use super::daemon_address::DaemonAddress;
use crate::config::{self, ClientSettings, Environment, Problems, TokenPlace};
use crate::serve::token as api_token;

/// The configuration of the service.
pub(super) const DEFAULT_CONFIG: &str = "/etc/meetwatch/meetwatch.toml";

/// A token file is not read further than this.
const MAX_TOKEN_BYTES: u64 = 4096;

/// Above these options in the help of a command.
const HEADING: &str = "Which daemon to ask";

/// Which daemon to ask.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct DaemonArgs {
    /// The configuration file of the daemon, of which only the address and the token are read [default:
    /// /etc/meetwatch/meetwatch.toml]
    #[arg(long, value_name = "FILE", global = true, help_heading = HEADING)]
    pub(super) config: Option<PathBuf>,
    /// The address of the daemon, in place of a configuration: http://HOST:PORT, https://HOST:PORT or unix:PATH [env:
    /// MEETWATCH_URL]
    #[arg(long, value_name = "URL", global = true, help_heading = HEADING, conflicts_with = "config")]
    pub(super) url: Option<String>,
    /// The file with a token of the daemon's API [env: MEETWATCH_TOKEN_FILE]
    #[arg(long, value_name = "FILE", global = true, help_heading = HEADING)]
    pub(super) token_file: Option<PathBuf>,
}

/// A daemon, and where its token is.
#[derive(Debug)]
pub(super) struct ChosenDaemon {
    pub(super) address: DaemonAddress,
    token: ChosenToken,
}

#[derive(Debug)]
enum ChosenToken {
    /// There is none.
    None,
    /// In a file of the user's own.
    Given(PathBuf),
    /// As the configuration says.
    Configured(Result<TokenPlace, Problems>),
}

/// A token and what messages call it.
pub(super) struct Token {
    pub(super) secret: SecretString,
    pub(super) display: String,
}

impl DaemonArgs {
    /// Returns the daemon that the options and the environment name. Reads no token.
    ///
    /// # Errors
    /// Where the address or the configuration cannot be used.
    pub(super) fn choose(&self, environment: &Environment) -> anyhow::Result<ChosenDaemon> {
        let given = self.token_file.clone().or_else(|| environment.token_file.clone()).map(ChosenToken::Given);
        let url = self.url.as_ref().or_else(|| environment.url.as_ref().filter(|_| self.config.is_none()));
        if let Some(url) = url {
            let name = if self.url.is_some() { "--url" } else { "MEETWATCH_URL" };
            let address = DaemonAddress::from_url(url).map_err(|why| anyhow!("{name} {why}"))?;
            return Ok(ChosenDaemon { address, token: given.unwrap_or(ChosenToken::None) });
        }
        let path = self.config.as_deref().unwrap_or(Path::new(DEFAULT_CONFIG));
        let settings = config::load_client(path, environment)?;
        let address = DaemonAddress::from_config(&settings, path)?;
        let ClientSettings { token, .. } = settings;
        Ok(ChosenDaemon { address, token: given.unwrap_or(ChosenToken::Configured(token)) })
    }
}

impl ChosenDaemon {
    /// Reads the token; `None` if there is none for this address. Blocking.
    ///
    /// # Errors
    /// Where a token is meant and cannot be read.
    pub(super) fn token(&self) -> anyhow::Result<Option<Token>> {
        let token = |secret, display| Ok(Some(Token { secret, display }));
        let config = || self.address.config().unwrap_or(Path::new(DEFAULT_CONFIG)).display().to_string();
        match &self.token {
            ChosenToken::None => Ok(None),
            ChosenToken::Given(path) => token(read_token(path, "")?, format!("the token in {}", path.display())),
            ChosenToken::Configured(Err(problems)) => Err(problems.clone().into()),
            ChosenToken::Configured(Ok(TokenPlace::Value(secret))) => {
                token(secret.clone(), format!("the token of {}", config()))
            }
            ChosenToken::Configured(Ok(TokenPlace::File(path))) => {
                token(read_token(path, " (`server.token_file`)")?, format!("the token of {}", config()))
            }
            ChosenToken::Configured(Ok(TokenPlace::BesideStore(store))) => {
                let path = api_token::path_beside(store);
                if matches!(path.try_exists(), Ok(false)) {
                    bail!(
                        "no daemon has run with this configuration yet: its first start creates {}, which does not exist",
                        path.display()
                    );
                }
                token(read_token(&path, "")?, format!("the token of {}", config()))
            }
        }
    }
}

/// Reads the first line of a token file. `note` follows the path in messages.
fn read_token(path: &Path, note: &str) -> anyhow::Result<SecretString> {
    let text = read(path).map_err(|error| {
        let file = path.display();
        match error.kind() {
            io::ErrorKind::PermissionDenied => anyhow!(
                "this user may not read the daemon's token in {file}{note}; run the command as root or as the daemon's user, \
                 or name a token file of your own with --token-file"
            ),
            io::ErrorKind::NotFound => anyhow!("the token file {file}{note} does not exist; correct its path"),
            _ => anyhow!("the token file {file}{note} cannot be read: {error}"),
        }
    })?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("the token file {}{note} does not hold a token, which is one word on one line", path.display());
    }
    Ok(SecretString::from(token))
}

fn read(path: &Path) -> io::Result<String> {
    use std::io::Read as _;
    // Checked before the file is opened, because opening a pipe waits for its other end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_TOKEN_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::cli::arguments::parsed;

    fn chosen(line: &str, environment: &Environment) -> anyhow::Result<ChosenDaemon> {
        parsed::<DaemonArgs>(line).unwrap().choose(environment)
    }

    fn config(folder: &Path) -> String {
        let path = folder.join("m.toml");
        std::fs::write(&path, "[server]\nlisten = \"127.0.0.1:7\"\ntoken = \"of-the-configuration\"\n").unwrap();
        path.display().to_string()
    }

    #[test]
    fn an_option_beats_the_environment_which_beats_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let environment = Environment { url: Some("http://env:1".to_owned()), ..Environment::default() };
        let address = |line: &str| chosen(line, &environment).unwrap().address.display;
        assert_eq!(address("--url http://option:2"), "http://option:2");
        assert_eq!(address(&format!("--config {config}")), "http://127.0.0.1:7");
        assert_eq!(address(""), "http://env:1");
        assert!(parsed::<DaemonArgs>(&format!("--config {config} --url http://x")).is_err());
        let bad = Environment { url: Some("env:1".to_owned()), ..Environment::default() };
        assert!(chosen("", &bad).unwrap_err().to_string().starts_with("MEETWATCH_URL must be "));
    }

    #[test]
    fn the_token_of_a_configuration_is_sent_to_no_other_address() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let own = folder.path().join("own");
        std::fs::write(&own, "of-my-own\n").unwrap();
        let environment = Environment { token_file: Some(own.clone()), ..Environment::default() };
        let token = |line: &str, environment: &Environment| {
            chosen(line, environment).unwrap().token().unwrap().map(|token| token.secret.expose_secret().to_owned())
        };
        let none = Environment::default();
        assert_eq!(token(&format!("--config {config}"), &none).as_deref(), Some("of-the-configuration"));
        assert_eq!(token(&format!("--config {config}"), &environment).as_deref(), Some("of-my-own"));
        assert_eq!(token("--url http://x", &none), None);
        assert_eq!(
            token(&format!("--url http://x --token-file {}", own.display()), &none).as_deref(),
            Some("of-my-own")
        );
    }

    #[test]
    fn a_token_file_that_cannot_be_used_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let why = |path: &Path| read_token(path, "").unwrap_err().to_string();
        assert!(why(&folder.path().join("none")).ends_with("does not exist; correct its path"));
        assert!(why(folder.path()).ends_with("cannot be read: it is not a regular file"));
        let file = folder.path().join("token");
        for bad in ["", "two words", "naïve"] {
            std::fs::write(&file, bad).unwrap();
            assert!(why(&file).contains("does not hold a token"), "{bad}");
        }
    }
}
