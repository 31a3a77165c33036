//! Whole histories, deterministic from one seed: the real schedule, roster and store on a simulated world and clock, with
//! faults and crashes, held against what really happened. Hours pass in milliseconds; no socket, no sleep.

mod google;
pub mod history;
pub mod truth;

pub use history::{History, Options, run};
