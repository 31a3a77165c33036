//! A client for Google's APIs outside of a daemon: its metrics and its status are not shown.

use prometheus::Registry;

use crate::backoff::random_seed;
use crate::clock::Clock;
use crate::meet::settings::{GoogleSettings, IdentitySettings};
use crate::meet::{self, Client, RetryPolicy};
use crate::serve::metrics::limit_reached;
use crate::status::StatusBoard;

/// Builds a client that reads as these identities.
///
/// # Errors
/// Where the settings cannot be used, such as a proxy or a certificate that cannot be read.
pub(super) fn build(
    google: &GoogleSettings,
    identities: &[IdentitySettings],
    retry: RetryPolicy,
) -> anyhow::Result<Client> {
    let registry = Registry::new();
    Ok(Client::new(&meet::ClientParts {
        google,
        identities,
        clock: Clock::new(),
        seed: random_seed(),
        registry: &registry,
        limits: &limit_reached(&registry)?,
        status: StatusBoard::default(),
        retry,
    })?)
}
