//! Whole histories, deterministic from one seed: the real schedule, roster, store and dispatcher on a simulated world and
//! clock, with faults and crashes, held against what really happened. Hours pass in milliseconds; no socket, no sleep.
//!
//! `scenario` draws what a history is like, `cast` who watches in it; `play` lets it happen, with `google` at the
//! other end of each read and `post` at the other end of each delivery; [`truth`] compares, as far as `expect` says it has
//! to agree, each event by itself in `content`; [`honesty`] and `sight` hold what may never be said, and what has to be. [`batch`] runs many.

pub mod batch;
mod cast;
mod content;
mod expect;
mod google;
pub mod history;
pub mod honesty;
pub mod journal;
mod play;
mod post;
mod scenario;
mod sight;
pub mod truth;

pub use batch::{Batch, Failure, Tally};
pub use history::{History, Options, run};
