//! Google's side: the Meet REST API and the People API, read only.
//!
//! A [`Read`] goes through quota → token → request → pages → parsing and comes back as a [`Reading`], whole, or as a
//! [`ReadError`] with a named reason. The rest of the program sees the [`Reader`] trait and nothing of HTTP.

pub mod advice;
pub mod answer;
pub mod auth;
mod body;
mod borrowed;
mod by_hand;
mod client;
pub mod error;
mod exchange;
pub mod failure;
pub mod filter;
mod health;
pub mod hints;
pub(crate) mod merge;
mod metrics;
pub mod pages;
pub mod parse;
pub mod people;
pub mod quota;
pub mod reader;
mod reads;
pub mod remedy;
pub mod request;
pub mod retry;
pub mod settings;
pub mod wire;

pub use client::{Client, Parts, Renewal, SetupError};
pub use error::{ReadError, Reason};
pub use failure::Failure;
pub use filter::{ConferenceFilter, ParticipantFilter, SessionFilter};
pub use pages::Page;
pub use people::{MOST_PEOPLE, PersonQuery, ReadSource};
pub use reader::{Answer, Priority, Read, Reader, Reading};
pub use request::PageRequest;
pub use retry::RetryPolicy;
