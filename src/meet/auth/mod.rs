//! Who we are to Google: a token for each identity and scope set, fresh, and never shown to anybody.
//!
//! `Tokens` caches, renews ahead of expiry and once more when Google refuses one; `TokenSource` gets new ones. Service
//! accounts and the metadata server go through yup-oauth2. A user's refresh token does not: yup-oauth2 swallows why a
//! refresh failed and begins a new consent instead, waiting for a browser that a daemon does not have; so that one
//! request is made here, and a revoked consent keeps its own reason.
//!
//! yup-oauth2 cannot delegate without a service account key file: neither through the IAM Credentials API (keyless
//! delegation, impersonated and external accounts) nor with application default credentials and a subject. `config`
//! refuses such a configuration.

pub mod consent;
mod application_default;
pub mod files;
mod inspect;
mod refresh;
pub mod scopes;
mod oauth_error;
mod service_account;
mod token_endpoint;
mod token_source;
pub mod token_store;
mod tokens;

pub use inspect::{Inspection, Warning, inspect, inspect_key};
pub use scopes::Scopes;
pub(super) use token_source::TokenSource;
pub(super) use tokens::{Bearer, Tokens};
