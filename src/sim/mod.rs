//! A simulator of the Meet API, for tests, the demo and `sim --verify`.
//!
//! A [`world`] holds meetings that a seed, a [`script`] or a test creates. The [`api`] answers Google's reads about it,
//! without clock or socket. [`faults`] spoil answers the way the real API does. A [`server`] serves the API on a
//! socket, and a [`receiver`] takes the webhooks at the other end of the daemon.
//!
//! The world is the reference: a log is correct if it reports what happened in the world.

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
