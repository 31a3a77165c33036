//! Access tokens for Google: one for each identity and set of scopes, never written to a log.
//!
//! `Tokens` caches tokens, renews them before they expire, and replaces one that Google refuses; `TokenSource` obtains new
//! ones. Service accounts use yup-oauth2. The refresh token of a user does not: when a refresh fails, yup-oauth2 drops the
//! reason and starts a new consent, which waits for a browser that a daemon does not have. That request is made here, so
//! that a revoked consent has its own reason. So is the request to the metadata server, because yup-oauth2 would read the
//! environment to find it.
//!
//! yup-oauth2 cannot delegate without a service account key file: neither through the IAM Credentials API (keyless
//! delegation, impersonated and external accounts) nor with application default credentials and a subject. `config`
//! refuses such a configuration.

mod application_default;
pub mod consent;
pub mod files;
mod inspect;
mod oauth_error;
mod private_key;
mod refresh;
pub mod scopes;
mod service_account;
mod token_endpoint;
mod token_source;
pub mod token_store;
mod tokens;

pub use inspect::{Inspection, inspect};
pub use scopes::Scopes;
pub(super) use token_source::TokenSource;
pub(super) use tokens::{Bearer, Tokens};
