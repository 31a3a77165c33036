//! Whole histories, deterministic from one seed: the real schedule, roster, store and dispatcher on a simulated world and
//! clock, with faults and crashes, held against what really happened. Hours pass in milliseconds; no socket, no sleep.
//!
//! `scenario` draws what a history is like, `cast` who watches in it; `play` lets it happen, with `google` at the
//! other end of each read and `post` at the other end of each delivery; [`truth`] compares, as far as `expect` says it has
//! to agree, and [`honesty`] holds what may never be said. [`batch`] runs many.

pub mod batch;
mod cast;
mod expect;
mod google;
pub mod history;
pub mod honesty;
pub mod journal;
mod play;
mod post;
mod scenario;
pub mod truth;

pub use batch::{Batch, Failure, Tally};
pub use history::{History, Options, run};
