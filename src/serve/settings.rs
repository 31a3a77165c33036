//! What an operator can set about the HTTP side, validated by `config`.

use std::net::{Ipv4Addr, SocketAddr};

use secrecy::SecretString;

pub use super::keys::{Keys, PasswordHash};
pub use super::listen::{Inherited, Listen, Socket};
pub use super::tls::{BadServerTls, Tls, TlsFiles, own_certificate};

/// `[server]` and `[metrics]`.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    pub listen: Listen,
    /// A socket that was handed over at the start, in place of one of our own. Then `listen` says where it listens.
    pub inherited: Option<Inherited>,
    /// What connections are encrypted with, if they are.
    pub tls: Option<TlsFiles>,
    /// What may be read without a token from beyond loopback.
    pub expose: Expose,
    /// The token that everything else asks for. Without one, the daemon makes one at its first start.
    pub token: Option<SecretString>,
    /// What else opens the API.
    pub api: Keys,
    /// What else opens the metrics. With any of these, they are open to nobody without.
    pub metrics: Keys,
    /// Names, besides `localhost` and bare addresses, under which a browser may ask for what needs the token.
    /// Lower-case, without a port.
    pub hosts: Vec<String>,
    /// How many conferences have series of their own.
    pub max_conferences: usize,
}

/// `expose = ["metrics", "health"]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expose {
    pub metrics: bool,
    pub health: bool,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: Listen::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 9840))),
            inherited: None,
            tls: None,
            expose: Expose::default(),
            token: None,
            api: Keys::default(),
            metrics: Keys::default(),
            hosts: Vec::new(),
            max_conferences: 1000,
        }
    }
}
