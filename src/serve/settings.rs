//! What an operator can set about the HTTP side, validated by `config`.

use std::net::{Ipv4Addr, SocketAddr};

use secrecy::SecretString;

/// `[server]` and `[metrics]`.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    pub listen: SocketAddr,
    /// What may be read without a token from beyond loopback.
    pub expose: Expose,
    /// The token that everything else asks for. Without one, the daemon makes one at its first start.
    pub token: Option<SecretString>,
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
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9840)),
            expose: Expose::default(),
            token: None,
            hosts: Vec::new(),
            max_conferences: 1000,
        }
    }
}
