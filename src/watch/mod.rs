//! Watching: which conferences the targets have, who is in them, and the events that follow.
//!
//! Data passes through it like this. [`scheduler`] decides which read is due, and [`run()`] makes it. The answer goes to the
//! [`target`] or the [`conference`] that asked. A target answers with conferences it found. A conference turns the answer
//! into an observation of its [`roster`], which returns the new state and the events. [`persist`] turns both into one
//! commit, and the state counts only once it is committed.
//!
//! All of it except `run` is without IO and without a clock, so that simulated histories run through the same code.

pub mod budget;
pub mod clock_skew;
pub mod closing;
pub mod conference;
pub mod gap;
pub mod lookup;
pub mod metrics;
pub mod persist;
pub mod plan;
pub mod roster;
pub mod run;
pub mod scheduler;
pub mod settings;
pub mod stretch;
pub mod target;
pub mod wish;

pub use metrics::WatchMetrics;
pub use roster::Roster;
pub use run::{ReconfigureRequest, ReconfigureSender, WatchParts, reconfigure_channel, run};
pub use scheduler::{Memory, Revision, Scheduler, SchedulerCommand, SchedulerInput, Setup, WatchIdentity, WorkKey};
pub use settings::{TargetSelector, TargetSettings, WatchSettings};
