//! `meetwatch` knows who is in a Google Meet call right now, says so when that changes, and can prove it missed nothing.
//!
//! `docs/ARCHITECTURE.md` is the map: which room holds what, and who may know whom.

pub mod app;
pub mod backoff;
pub mod capped_body;
pub mod cli;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod failpoints;
pub mod heartbeat;
pub mod log;
pub mod meet;
pub mod model;
pub mod pseudonym;
pub mod secret_file;
pub mod retry_after;
pub mod serve;
pub mod sim;
pub mod status;
pub mod store;
pub mod systemd;
pub mod token_bucket;
pub mod verify;
pub mod watch;
