//! The modules of `meetwatch`, a daemon that watches Google Meet calls and reports who joins and leaves.
//!
//! `docs/ARCHITECTURE.md` describes what each module holds and which modules it may use.

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
pub mod open_files;
pub mod pseudonym;
pub mod quota_bucket;
pub mod retry_after;
pub mod secret_file;
pub mod serve;
pub mod sim;
pub mod status;
pub mod store;
pub mod systemd;
pub mod tls_roots;
pub mod token_bucket;
pub mod verify;
pub mod watch;
