//! Where the server listens: an address and a port, or a socket in the file system, made by itself or handed over by whoever
//! started it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixSocket};

/// How many connections the kernel keeps until they are accepted, if the machine's own bound is not lower. With few, a crowd
/// fills the queue while the program does something else, and whoever comes then has to try again a second later.
const QUEUE: u32 = 4096;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    Tcp(SocketAddr),
    /// The mode is the file's permissions: who may connect.
    Unix {
        path: PathBuf,
        mode: u32,
    },
}

impl Listen {
    /// Whether only this machine can reach it.
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

/// A socket that listens already, handed over at the start. Whoever takes it first has it.
#[derive(Debug, Clone)]
pub struct Inherited(Arc<Mutex<Option<Socket>>>);

/// A socket as it is handed over.
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

    /// Where it listens.
    ///
    /// # Errors
    /// If the socket has no address, or was taken.
    pub fn listens_on(&self) -> io::Result<Listen> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(Socket::Tcp(listener)) => listener.local_addr().map(Listen::Tcp),
            Some(Socket::Unix(listener)) => {
                let path = listener.local_addr()?.as_pathname().map(Path::to_owned).unwrap_or_default();
                Ok(Listen::Unix { path, mode: 0 })
            }
            None => Err(io::Error::other("the socket was taken already")),
        }
    }

    fn take(&self) -> Option<Socket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Why the server cannot listen, in one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("cannot listen on {0}: another program listens there; stop it, or set `server.listen` to another place")]
    Taken(Listen),
    #[error(
        "cannot listen on {0}: this user may not; ports below 1024 need CAP_NET_BIND_SERVICE, a socket the right to write its folder"
    )]
    NotPermitted(Listen),
    #[error("cannot listen on {0}: this machine does not have this address")]
    NotOurs(Listen),
    #[error(
        "cannot listen on {0}: something else than a socket is there; remove it, or set `server.listen` to another path"
    )]
    NoSocket(Listen),
    #[error("cannot listen on {0}: its folder does not exist; make it, or set `server.listen` to another path")]
    NoFolder(Listen),
    #[error("cannot listen on {0}")]
    Other(Listen, #[source] io::Error),
}

impl BindError {
    fn of(listen: Listen, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::Taken(listen),
            io::ErrorKind::PermissionDenied => Self::NotPermitted(listen),
            io::ErrorKind::AddrNotAvailable => Self::NotOurs(listen),
            io::ErrorKind::NotFound => Self::NoFolder(listen),
            _ => Self::Other(listen, error),
        }
    }
}

/// Both directions of a connection, of whatever kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

pub(super) type Connection = Pin<Box<dyn Stream>>;

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    /// With the file, if it is ours to remove.
    Unix {
        listener: UnixListener,
        _own: Option<OwnSocket>,
    },
}

/// The file of a socket that we made. Removed when dropped, unless another has its place by then.
#[derive(Debug)]
pub(super) struct OwnSocket {
    path: PathBuf,
    inode: u64,
}

impl Drop for OwnSocket {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode) {
            // The next start removes it otherwise.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Listener {
    /// Listens there, or takes over what was handed over. Returns where that is, with the port that the kernel chose if 0
    /// was asked for.
    pub(super) fn bind(listen: &Listen, inherited: Option<&Inherited>) -> Result<(Self, Listen), BindError> {
        let of = |error| BindError::of(listen.clone(), error);
        match (inherited.and_then(Inherited::take), listen) {
            (Some(Socket::Tcp(socket)), _) => {
                socket.set_nonblocking(true).map_err(of)?;
                let listener = TcpListener::from_std(socket).map_err(of)?;
                let address = listener.local_addr().map_err(of)?;
                Ok((Self::Tcp(listener), Listen::Tcp(address)))
            }
            (Some(Socket::Unix(socket)), _) => {
                socket.set_nonblocking(true).map_err(of)?;
                let listener = UnixListener::from_std(socket).map_err(of)?;
                Ok((Self::Unix { listener, _own: None }, listen.clone()))
            }
            (None, Listen::Tcp(address)) => {
                let listener = bind_tcp(*address).map_err(of)?;
                let address = listener.local_addr().map_err(of)?;
                Ok((Self::Tcp(listener), Listen::Tcp(address)))
            }
            (None, Listen::Unix { path, mode }) => {
                refuse_unless_free(listen, path)?;
                let (listener, own) = bind_unix(path, *mode).map_err(of)?;
                Ok((Self::Unix { listener, _own: Some(own) }, listen.clone()))
            }
        }
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<Connection> {
        match self {
            Self::Tcp(listener) => Ok(Box::pin(listener.accept().await?.0)),
            Self::Unix { listener, .. } => Ok(Box::pin(listener.accept().await?.0)),
        }
    }
}

/// A socket that nobody listens on any more is what a killed daemon leaves behind, and is in nobody's way.
fn refuse_unless_free(listen: &Listen, path: &Path) -> Result<(), BindError> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(BindError::NoSocket(listen.clone()));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(BindError::NotPermitted(listen.clone())),
        Ok(_) | Err(_) => Err(BindError::Taken(listen.clone())),
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of a daemon that was here before are in nobody's way.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

/// Binds beside the path and moves the socket there, so that at no moment somebody can connect whom the mode forbids.
fn bind_unix(path: &Path, mode: u32) -> io::Result<(UnixListener, OwnSocket)> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Readable by this user alone, and so is what lies in it.
    let private = tempfile::Builder::new().prefix(".meetwatch").rand_bytes(4).tempdir_in(folder)?;
    let made = private.path().join("s");
    let socket = UnixSocket::new_stream()?;
    socket.bind(&made)?;
    let listener = socket.listen(QUEUE)?;
    std::fs::set_permissions(&made, std::fs::Permissions::from_mode(mode))?;
    let inode = std::fs::symlink_metadata(&made)?.ino();
    std::fs::rename(&made, path)?;
    Ok((listener, OwnSocket { path: path.to_owned(), inode }))
}
