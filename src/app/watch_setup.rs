//! What the schedule needs of a configuration. A start and a reload both make it.

use crate::config::Config;
use crate::meet::Client;
use crate::watch::{Setup, WatchIdentity};

/// Returns the part of the configuration that the schedule needs.
pub(super) fn watch_setup(config: &Config, client: &Client) -> Setup {
    let identities = config.identities.iter().map(|identity| WatchIdentity {
        name: identity.name.clone(),
        looks_up: identity.lookup_people,
        budget: client.limit_per_minute(&identity.name),
    });
    Setup {
        settings: config.watch,
        targets: config.targets.clone(),
        identities: identities.collect(),
        routes: config.webhooks.iter().map(|endpoint| endpoint.route.clone()).collect(),
        internal_domains: config.google.internal_domains.clone(),
        project_budget: client.project_limit_per_minute(),
    }
}
