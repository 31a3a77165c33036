//! Deterministic simulation of whole histories: the real scheduler, roster, store and dispatcher run on a simulated
//! world and clock, with faults and crashes, and the resulting log is compared with what happened. Hours take
//! milliseconds; there are no sockets and no sleeping.
//!
//! `scenario` draws the circumstances from the seed and `fixtures` the targets and identities. `simulation` runs the
//! history, with `google` answering reads and `receivers` taking deliveries. [`truth`] compares the log with the world
//! as far as `expect` requires, and `content` checks single events. `honesty` checks what a log must never claim,
//! `gaps` when it must report a gap. [`batch`] runs many histories. [`lateness`] measures how late events are under a quota.

pub mod batch;
mod content;
mod expect;
mod fixtures;
mod gaps;
mod google;
pub mod history;
mod honesty;
pub mod journal;
pub mod lateness;
mod receivers;
mod scenario;
mod simulation;
pub mod truth;

pub use batch::{Batch, BatchReport, FailedSeed};
pub use history::{History, HistoryOptions, run};
