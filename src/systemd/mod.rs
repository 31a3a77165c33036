//! Notifies the service manager, such as systemd: ready, reloading, stopping, a status line, and watchdog pings.
//!
//! [`Notifier`] implements the protocol and does nothing if the process was started without a manager. [`summary`] renders the status line. [`run()`] does all this
//! periodically: while [`Liveness`](crate::heartbeat::Liveness) finds a loop stalled it withholds the pings, so that systemd
//! restarts the daemon.

pub mod notify;
pub mod run;
pub mod summary;

pub use notify::Notifier;
pub use run::{SupervisorParts, run};
