//! The operator's settings of the HTTP server, validated by `config`.

use std::net::{Ipv4Addr, SocketAddr};

use secrecy::SecretString;

pub use super::auth::keys::{Keys, PasswordHash};
pub use super::listener::listen::{Inherited, Listen, Socket};
pub use super::listener::tls::{BadServerTls, Tls, TlsFiles, own_certificate};

/// `[server]` and `[metrics]`.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    pub listen: Listen,
    /// A listening socket that was passed to the process, used instead of binding one. `listen` then holds its address.
    pub inherited: Option<Inherited>,
    /// The files for TLS; `None` serves plain HTTP.
    pub tls: Option<TlsFiles>,
    /// What may be read without a key from beyond loopback.
    pub expose: Expose,
    /// The token that opens everything. Without one, the daemon creates one at its first start.
    pub token: Option<SecretString>,
    /// Further keys for the API.
    pub api: Keys,
    /// Further keys for the metrics. If there are any, reading the metrics always needs a key.
    pub metrics: Keys,
    /// Host names, besides `localhost` and IP addresses, that the API accepts in `Host`. Lower case, without a port.
    pub hosts: Vec<String>,
    /// How many conferences get metric series of their own.
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
