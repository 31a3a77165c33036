//! Where the server listens: a TCP address or a unix socket, bound by the daemon or passed to it by the service manager.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    Tcp(SocketAddr),
    /// `mode` is the permissions of the file: who may connect.
    Unix {
        path: PathBuf,
        mode: u32,
    },
}

impl Listen {
    /// Whether it can be reached only from this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix { .. } => true,
        }
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A listening socket that was passed to the process at its start. It can be taken once; clones share it.
#[derive(Debug, Clone)]
pub struct Inherited(Arc<Mutex<Option<Socket>>>);

/// The kinds of socket that can be passed.
#[derive(Debug)]
pub enum Socket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Inherited {
    #[must_use]
    pub fn new(socket: Socket) -> Self {
        Self(Arc::new(Mutex::new(Some(socket))))
    }

    /// Returns the address of the socket.
    ///
    /// # Errors
    /// If it has no address, or was taken already.
    pub fn listens_on(&self) -> io::Result<Listen> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(Socket::Tcp(listener)) => listener.local_addr().map(Listen::Tcp),
            Some(Socket::Unix(listener)) => {
                let path = listener.local_addr()?.as_pathname().map(Path::to_owned).unwrap_or_default();
                Ok(Listen::Unix { path, mode: 0 })
            }
            None => Err(io::Error::other("the inherited socket was taken already")),
        }
    }

    /// Takes the socket; `None` if it was taken already.
    pub(super) fn take(&self) -> Option<Socket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
