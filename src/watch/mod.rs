//! Who is where: discovery, the schedule, polling, and the roster that turns readings into events.

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
pub mod skew;
pub mod stretch;
pub mod target;

pub use metrics::Metrics;
pub use roster::Roster;
pub use run::{Change, Changes, Parts, changes, run};
pub use scheduler::{Command, Input, Key, Memory, Revision, Scheduler, Setup, WatchIdentity};
pub use settings::{TargetSettings, WatchSettings, What};
