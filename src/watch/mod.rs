//! Who is where: discovery, the schedule, polling, and the roster that turns readings into events.

pub mod settings;

pub use settings::{TargetSettings, WatchSettings, What};
