//! A Meet API to try things on.
//!
//! A [`world`] of meetings that a seed, a [`script`] or a test makes happen; an [`api`] that answers Google's reads
//! about it, pure and without sockets; [`faults`] that go wrong the way the real thing does; a [`server`] that puts
//! the API on a socket; and a [`receiver`] of webhooks for the other end of the daemon.
//!
//! The world is the reference: what it says happened is what everybody else's log must say.

pub mod api;
pub mod faults;
mod hash;
mod http;
pub mod receiver;
pub mod script;
pub mod server;
pub mod world;

pub use api::filter;
pub use receiver::{Behaviour, Delivered, Receiver, ReceiverSettings};
pub use script::Script;
pub use server::{Running, Settings, Simulator, Time};
pub use world::{World, WorldSettings};
