//! A Meet API to try things on.
//!
//! A [`world`] of meetings that a seed, a script or a test makes happen; an [`api`] that answers Google's reads about
//! it, pure and without sockets; [`faults`] that go wrong the way the real thing does.

pub mod api;
pub mod faults;
mod hash;
pub mod world;

pub use api::filter;
