//! Who may read and change what: a key for the group of paths, and for the API no request from a foreign web page.
//!
//! [`key_guard`] takes the `Authorization` header of a request, and [`authenticator`] checks it against the [`keys`] that
//! open its path. [`password_queue`] orders the passwords that wait to be checked. [`browser_guard`] checks `Host` and `Origin`. [`token`] creates the key that exists without any
//! configuration.

pub(super) mod authenticator;
pub(super) mod browser_guard;
pub(super) mod key_guard;
pub(super) mod keys;
mod password_queue;
mod single_header;
pub mod token;
