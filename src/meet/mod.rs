//! Google's side: the Meet REST API and the People API, read only.
//!
//! A [`Read`] goes through quota → token → request → pages → parsing and comes back as a [`Reading`], whole, or as a
//! [`ReadError`] with a named reason. The rest of the program sees the [`Reader`] trait and nothing of HTTP.

pub mod error;
pub mod filter;
pub mod reader;
pub mod settings;
pub mod wire;

pub use error::{ReadError, Reason};
pub use filter::{ConferenceFilter, ParticipantFilter, SessionFilter};
pub use reader::{Answer, Priority, Read, Reader, Reading};
