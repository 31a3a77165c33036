//! Notifies the service manager, such as systemd: ready, reloading, stopping, a status line, and watchdog pings.
//!
//! [`Notifier`] implements the protocol and does nothing if the process was started without a manager. [`Watchdog`] decides
//! from the heartbeats of the loops whether one is stalled. [`summary`] renders the status line. [`run()`] does all this
//! periodically: while a loop is stalled it withholds the pings, so that systemd restarts the daemon.

pub mod notify;
pub mod run;
pub mod summary;
pub mod watchdog;

pub use notify::Notifier;
pub use run::{SupervisorParts, run};
pub use watchdog::{Watchdog, WatchedLoop};
