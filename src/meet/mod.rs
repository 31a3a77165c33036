//! The client for the Meet REST API and the People API. It only reads.
//!
//! [`Client`] does a [`Read`] on behalf of an identity: it waits for quota, obtains an access token, sends the request,
//! retries what may pass, follows the pages of a list and parses the answer into the model. The result is a complete
//! [`Reading`], or a [`ReadError`] with a reason and a remedy. `watch` sees the [`Reader`] trait and nothing of HTTP.

pub mod auth;
mod borrowed_wire;
mod client;
pub mod error;
pub mod failure;
mod fetch;
mod filter;
mod health;
mod http_clients;
pub(crate) mod merge;
mod metrics;
mod page;
mod page_cursor;
pub mod parse;
mod people;
mod quota;
mod quota_scope;
mod reader;
mod reads;
mod remedy;
mod repair;
pub mod request;
pub mod response_body;
pub mod response_hints;
mod retry;
pub mod settings;
pub mod setup_steps;
mod single_requests;
mod tolerant;
mod transport;
pub mod unreadable;
pub mod wire;

pub use client::{Client, ClientParts, Renewal, SetupError};
pub use error::{ReadError, Reason};
pub use failure::Failure;
pub use filter::{ConferenceFilter, ParticipantFilter, SessionFilter};
pub use page::Page;
pub use people::{MAX_PEOPLE_PER_REQUEST, PersonQuery, ReadSource};
pub use quota_scope::QuotaScope;
pub use reader::{Answer, Priority, Read, Reader, Reading};
pub use request::PageRequest;
pub use retry::RetryPolicy;
pub use unreadable::{UnreadableField, UnreadableFields};
