//! How a new configuration differs from the running one, as far as a reload must know.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Config;
use crate::meet::settings::IdentitySettings;
use crate::model::IdentityName;

/// Returns the first changed key that only a restart can apply.
pub(super) fn restart_only_key(running: &Config, new: &Config) -> Option<&'static str> {
    let changed = [
        ("store.path", running.store.path != new.store.path),
        ("server.listen", running.server.listen != new.server.listen),
        ("metrics.max_conferences", running.server.max_conferences != new.server.max_conferences),
        ("log.format", running.log.format != new.log.format),
    ];
    changed.into_iter().find(|(_, changed)| *changed).map(|(key, _)| key)
}

/// Returns the identities that kept their name but changed their credentials: they may be another Google user now.
pub(super) fn replaced_identities(running: &Config, new: &Config) -> BTreeSet<IdentityName> {
    let before = |name: &IdentityName| running.identities.iter().find(|before| before.name == *name);
    let changed = |identity: &&IdentitySettings| {
        before(&identity.name).is_some_and(|before| before.credentials != identity.credentials)
    };
    new.identities.iter().filter(changed).map(|identity| identity.name.clone()).collect()
}

/// Returns the identities that kept their credentials but changed their name, as old name → new name.
pub(super) fn renamed_identities(running: &Config, new: &Config) -> BTreeMap<IdentityName, IdentityName> {
    let has = |config: &Config, name: &IdentityName| config.identities.iter().any(|one| one.name == *name);
    let removed = running.identities.iter().filter(|identity| !has(new, &identity.name));
    removed
        .filter_map(|identity| {
            let mut added = new.identities.iter().filter(|added| !has(running, &added.name));
            let renamed = added.find(|added| added.credentials == identity.credentials)?;
            Some((identity.name.clone(), renamed.name.clone()))
        })
        .collect()
}
