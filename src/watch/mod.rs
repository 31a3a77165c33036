//! Who is where: discovery, the schedule, polling, and the roster that turns readings into events.

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

pub use metrics::WatchMetrics;
pub use roster::Roster;
pub use run::{ReconfigureRequest, ReconfigureSender, WatchParts, reconfigure_channel, run};
pub use scheduler::{Memory, Revision, Scheduler, SchedulerCommand, SchedulerInput, Setup, WatchIdentity, WorkKey};
pub use settings::{TargetSelector, TargetSettings, WatchSettings};
