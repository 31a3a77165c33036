//! Who we are to Google: a token for each identity and scope set, fresh, and never shown to anybody.
//!
//! `Tokens` caches, renews ahead of expiry and once more when Google refuses one; `Source` gets new ones. Service
//! accounts and the metadata server go through yup-oauth2. A user's refresh token does not: yup-oauth2 swallows why a
//! refresh failed and begins a new consent instead, waiting for a browser that a daemon does not have; so that one
//! request is made here, and a revoked consent keeps its own reason.
//!
//! Two things are missing, because yup-oauth2 cannot do them: see [`NO_KEYLESS_DELEGATION`] and
//! [`NO_SUBJECT_WITH_DEFAULT`].

pub mod consent;
mod default;
mod endpoint;
pub mod files;
mod inspect;
mod refresh;
mod refusal;
pub mod scopes;
mod service_account;
mod source;
pub mod token_store;
mod tokens;

pub use inspect::{Inspection, Warning, inspect, inspect_key};
pub use scopes::Scopes;
pub(super) use source::{Source, Web};
pub(super) use tokens::{Bearer, Tokens};

/// Said by `check` and the documentation to those who look for delegation without a key file.
pub const NO_KEYLESS_DELEGATION: &str = "domain-wide delegation needs a service account key file: signing through the \
     IAM Credentials API (keyless delegation, impersonated or external accounts) is not supported";

/// Said by `check` where `subject` stands beside `application_default`.
pub const NO_SUBJECT_WITH_DEFAULT: &str = "`subject` needs `service_account_key`: application default credentials cannot \
     act for somebody else here, not even where they are a service account's key";
