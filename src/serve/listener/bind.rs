//! Opens the listening socket.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixSocket};

use super::listen::{Inherited, Listen, Socket};

/// The backlog: how many connections the kernel queues until they are accepted, unless its own limit is lower. If a
/// burst of connections fills a short backlog, the next client waits a second for its retransmission.
const BACKLOG: u32 = 4096;

/// Why the server cannot listen, in one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("cannot listen on {0}: the address is already in use; stop the other program, or change `server.listen`")]
    Taken(Listen),
    #[error(
        "cannot listen on {0}: permission denied; a port below 1024 needs CAP_NET_BIND_SERVICE, a unix socket needs write permission on its folder"
    )]
    NotPermitted(Listen),
    #[error("cannot listen on {0}: this machine does not have this address; change `server.listen`")]
    NotOurs(Listen),
    #[error("cannot listen on {0}: the path exists and is not a socket; remove it, or change `server.listen`")]
    NoSocket(Listen),
    #[error("cannot listen on {0}: the folder does not exist; create it, or change `server.listen`")]
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

/// An accepted connection, TCP or unix.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

pub(super) type AcceptedStream = Pin<Box<dyn Stream>>;

/// A listening socket.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    /// `_own` is set if the daemon created the socket file and removes it.
    Unix {
        listener: UnixListener,
        _own: Option<OwnSocket>,
    },
}

/// A socket file that the daemon created. Dropping this removes the file, unless it was replaced by another one.
#[derive(Debug)]
pub(super) struct OwnSocket {
    path: PathBuf,
    inode: u64,
}

impl Drop for OwnSocket {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode) {
            // If this fails, the next start replaces the file.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Listener {
    /// Binds `listen`, or takes over the inherited socket if there is one. Returns the actual address as well: with port 0,
    /// the kernel chooses the port.
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

    /// Accepts the next connection. Returns the address of its client as well, if it has one. Cancel-safe.
    pub(super) async fn accept(&self) -> io::Result<(AcceptedStream, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Box::pin(stream), Some(peer.ip())))
            }
            Self::Unix { listener, .. } => Ok((Box::pin(listener.accept().await?.0), None)),
        }
    }
}

/// Refuses a path that is in use. A socket on which nothing listens is a leftover of a killed daemon and may be replaced.
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
    // Connections of a previous daemon in TIME_WAIT do not prevent binding.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Binds in a private folder and renames the socket into place, so that there is no moment at which a user can connect whom
/// `mode` excludes.
fn bind_unix(path: &Path, mode: u32) -> io::Result<(UnixListener, OwnSocket)> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Created with mode 0700.
    let private = tempfile::Builder::new().prefix(".meetwatch").rand_bytes(4).tempdir_in(folder)?;
    let made = private.path().join("s");
    let socket = UnixSocket::new_stream()?;
    socket.bind(&made)?;
    let listener = socket.listen(BACKLOG)?;
    std::fs::set_permissions(&made, std::fs::Permissions::from_mode(mode))?;
    let inode = std::fs::symlink_metadata(&made)?.ino();
    std::fs::rename(&made, path)?;
    Ok((listener, OwnSocket { path: path.to_owned(), inode }))
}
