//! Who is where: discovery, the schedule, polling, and the roster that turns readings into events.

pub mod closing;
pub mod lookup;
pub mod persist;
pub mod plan;
pub mod roster;
pub mod settings;
pub mod skew;
pub mod stretch;
pub mod target;

pub use settings::{TargetSettings, WatchSettings, What};
