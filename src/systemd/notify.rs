//! The protocol of sd_notify(3): datagrams of `KEY=value` lines, sent to the socket in `NOTIFY_SOCKET`.

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

/// How long sending may take if the manager does not read its socket.
const SEND_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest status message, in bytes including `STATUS=`. A longer one is truncated.
const MAX_STATUS_BYTES: usize = 1024;

/// Sends notifications to the service manager; the default value sends none. Clones share the socket. A failure to send is
/// logged once and otherwise ignored.
#[derive(Debug, Clone, Default)]
pub struct Notifier(Option<Arc<NotifySocket>>);

#[derive(Debug)]
struct NotifySocket {
    socket: UnixDatagram,
    failure_logged: AtomicBool,
}

impl Notifier {
    /// Connects to `address`, the value of `NOTIFY_SOCKET`: an absolute path, or `@` and an abstract name. Must be called
    /// within a tokio runtime.
    ///
    /// # Errors
    /// If nothing listens there, or the address has another form.
    pub fn connect(address: &Path) -> io::Result<Self> {
        let socket = StdDatagram::unbound()?;
        match address.as_os_str().as_bytes() {
            [b'@', name @ ..] => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
            [b'/', ..] => socket.connect(address)?,
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "the address is neither an absolute path nor an abstract name",
                ));
            }
        }
        socket.set_nonblocking(true)?;
        let socket = NotifySocket { socket: UnixDatagram::from_std(socket)?, failure_logged: AtomicBool::new(false) };
        Ok(Self(Some(Arc::new(socket))))
    }

    /// Whether there is a manager to notify.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.0.is_some()
    }

    /// Notifies that the daemon is ready: after the start, and after each reload that [`Self::reloading`] announced,
    /// whether it succeeded or not.
    pub async fn ready(&self) {
        self.send("READY=1").await;
    }

    /// Notifies that a reload begins. [`Self::ready`] must follow.
    pub async fn reloading(&self) {
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", clock::monotonic().as_micros())).await;
    }

    /// Notifies that the daemon is stopping.
    pub async fn stopping(&self) {
        self.send("STOPPING=1").await;
    }

    /// Sends a watchdog ping.
    pub async fn alive(&self) {
        self.send("WATCHDOG=1").await;
    }

    /// Sends the status line. It must not name a person.
    pub async fn status(&self, text: &str) {
        self.send(&status_line(text)).await;
    }

    async fn send(&self, message: &str) {
        let Some(NotifySocket { socket, failure_logged }) = self.0.as_deref() else { return };
        let sent = timeout(SEND_TIMEOUT, socket.send(message.as_bytes())).await;
        let problem = match sent {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it does not read its socket".to_owned(),
        };
        if !failure_logged.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a notification could not be sent to the service manager: {problem}; it may consider the daemon unresponsive; further failures are not logged"
            );
        }
    }
}

/// Returns the message for a status: control characters become spaces, and the length is bounded.
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

    fn received(socket: &StdDatagram) -> String {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[tokio::test]
    async fn each_notification_has_the_form_that_the_protocol_defines() {
        let (_folder, socket, notifier) = manager();
        notifier.ready().await;
        assert_eq!(received(&socket), "READY=1");
        notifier.alive().await;
        assert_eq!(received(&socket), "WATCHDOG=1");
        notifier.stopping().await;
        assert_eq!(received(&socket), "STOPPING=1");
        notifier.status("all\nREADY=1").await;
        assert_eq!(received(&socket), "STATUS=all READY=1");
    }

    #[tokio::test]
    async fn a_reload_is_notified_with_the_monotonic_time() {
        let (_folder, socket, notifier) = manager();
        let before = clock::monotonic().as_micros();
        notifier.reloading().await;
        let text = received(&socket);
        let time: u128 = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse().unwrap();
        assert!((before..=clock::monotonic().as_micros()).contains(&time), "{text}");
    }

    #[tokio::test]
    async fn an_abstract_socket_can_be_used() {
        let name = format!("meetwatch-test-{}", std::process::id());
        let socket = StdDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Notifier::connect(Path::new(&format!("@{name}"))).unwrap().ready().await;
        assert_eq!(received(&socket), "READY=1");
    }

    #[tokio::test]
    async fn a_manager_that_is_gone_causes_no_error() {
        let (folder, socket, notifier) = manager();
        drop((folder, socket));
        notifier.ready().await;
        assert!(notifier.is_connected());
        Notifier::default().ready().await;
        assert!(Notifier::connect(Path::new("/nonexistent/notify")).is_err());
        assert!(Notifier::connect(Path::new("vsock:2:1")).is_err());
    }

    #[test]
    fn a_long_status_is_truncated_between_characters() {
        let line = status_line(&"ä".repeat(2000));
        assert!(line.len() <= MAX_STATUS_BYTES && line.ends_with('ä'));
    }
}
