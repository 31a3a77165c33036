//! What a service manager such as systemd is told: that the daemon is ready, how it goes, that it reloads or stops, and,
//! as long as its loops turn, that it is alive.
//!
//! [`Notifier`] speaks the protocol and is silent where no manager listens; [`watchdog`] decides from the heartbeats whether
//! the loops turn; [`summary`] says in a line how it goes; [`run()`] is the loop that does so again and again.

pub mod notify;
pub mod run;
pub mod summary;
pub mod watchdog;

pub use notify::Notifier;
pub use run::{Parts, run};
pub use watchdog::{Watchdog, Watched};
