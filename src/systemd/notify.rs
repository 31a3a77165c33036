//! The protocol of sd_notify(3): datagrams of `KEY=value` lines to the socket that the manager named.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::UnixDatagram;
use tokio::time::timeout;

use crate::clock;

/// How long a manager that reads nothing is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// A status is cut after so many bytes: it is one line for people.
const MAX_STATUS_BYTES: usize = 1024;

/// Tells the service manager, or nobody. Clones speak to the same one. What cannot be told is logged once and never a
/// reason to fail.
#[derive(Debug, Clone, Default)]
pub struct Notifier(Option<Arc<Line>>);

#[derive(Debug)]
struct Line {
    socket: UnixDatagram,
    complained: AtomicBool,
}

impl Notifier {
    /// Tells whoever listens at `address`, which is `NOTIFY_SOCKET`: a path, or `@` and an abstract name. Needs the
    /// runtime.
    ///
    /// # Errors
    /// Where nobody listens there, or the address is of another kind.
    pub fn connect(address: &Path) -> io::Result<Self> {
        let socket = StdDatagram::unbound()?;
        match address.as_os_str().as_bytes() {
            [b'@', name @ ..] => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
            [b'/', ..] => socket.connect(address)?,
            _ => return Err(io::Error::new(io::ErrorKind::Unsupported, "the address is neither a path nor abstract")),
        }
        socket.set_nonblocking(true)?;
        let line = Line { socket: UnixDatagram::from_std(socket)?, complained: AtomicBool::new(false) };
        Ok(Self(Some(Arc::new(line))))
    }

    /// Whether anybody listens.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    /// The daemon is ready: it was started, or a reload that [`Self::reloading`] announced is over, however it ended.
    pub async fn ready(&self) {
        self.send("READY=1").await;
    }

    /// A reload begins. [`Self::ready`] has to follow.
    pub async fn reloading(&self) {
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", clock::monotonic().as_micros())).await;
    }

    /// The daemon begins to stop.
    pub async fn stopping(&self) {
        self.send("STOPPING=1").await;
    }

    /// The daemon is alive, as the watchdog wants to hear.
    pub async fn alive(&self) {
        self.send("WATCHDOG=1").await;
    }

    /// How it goes, in one line without a person in it.
    pub async fn status(&self, text: &str) {
        self.send(&status_line(text)).await;
    }

    async fn send(&self, message: &str) {
        let Some(line) = &self.0 else { return };
        let sent = timeout(PATIENCE, line.socket.send(message.as_bytes())).await;
        let problem = match sent {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it reads nothing".to_owned(),
        };
        if !line.complained.swap(true, Ordering::Relaxed) {
            tracing::warn!("the service manager cannot be told how it goes: {problem}");
        }
    }
}

/// One line, however the text is broken, and no longer than is read.
fn status_line(text: &str) -> String {
    let mut line = String::from("STATUS=");
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if line.len() + c.len_utf8() > MAX_STATUS_BYTES {
            break;
        }
        line.push(c);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manager() -> (tempfile::TempDir, StdDatagram, Notifier) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = StdDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let notifier = Notifier::connect(&path).unwrap();
        (folder, socket, notifier)
    }

    fn heard(socket: &StdDatagram) -> String {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[tokio::test]
    async fn each_state_is_told_as_the_protocol_has_it() {
        let (_folder, socket, notifier) = manager();
        notifier.ready().await;
        assert_eq!(heard(&socket), "READY=1");
        notifier.alive().await;
        assert_eq!(heard(&socket), "WATCHDOG=1");
        notifier.stopping().await;
        assert_eq!(heard(&socket), "STOPPING=1");
        notifier.status("all\nREADY=1").await;
        assert_eq!(heard(&socket), "STATUS=all READY=1");
    }

    #[tokio::test]
    async fn a_reload_is_told_with_the_time_since_boot() {
        let (_folder, socket, notifier) = manager();
        let before = clock::monotonic().as_micros();
        notifier.reloading().await;
        let text = heard(&socket);
        let time: u128 = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse().unwrap();
        assert!((before..=clock::monotonic().as_micros()).contains(&time), "{text}");
    }

    #[tokio::test]
    async fn an_abstract_socket_is_reached_too() {
        let name = format!("meetwatch-test-{}", std::process::id());
        let socket = StdDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Notifier::connect(Path::new(&format!("@{name}"))).unwrap().ready().await;
        assert_eq!(heard(&socket), "READY=1");
    }

    #[tokio::test]
    async fn a_manager_that_is_gone_is_no_reason_to_fail() {
        let (folder, socket, notifier) = manager();
        drop((folder, socket));
        notifier.ready().await;
        assert!(notifier.is_heard());
        Notifier::default().ready().await;
        assert!(Notifier::connect(Path::new("/nonexistent/notify")).is_err());
        assert!(Notifier::connect(Path::new("vsock:2:1")).is_err());
    }

    #[test]
    fn a_status_is_cut_and_never_within_a_character() {
        let line = status_line(&"ä".repeat(2000));
        assert!(line.len() <= MAX_STATUS_BYTES && line.ends_with('ä'));
    }
}
